// Text <-> token ids: byte-level BPE, read from the same tokenizer.json that Python reads.
"use strict";

// Byte-level BPE writes every byte as one printable character: most Latin letters as themselves, the rest (control
// characters, the space, ...) as letters from U+0100 on. A space, for example, becomes "Ġ".
function byteAlphabet() {
  const shown = (b) => (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || (b >= 174 && b <= 255);
  let spare = 256;
  return Array.from({ length: 256 }, (_, b) => String.fromCharCode(shown(b) ? b : spare++));
}

class Tokenizer {
  // file: what tokenizer.json holds. control: tokens that no text may ever produce, such as </think>.
  constructor(file, control = []) {
    this.alphabet = byteAlphabet();
    this.byteOf = new Map(this.alphabet.map((char, byte) => [char, byte]));
    this.idOf = new Map(Object.entries(file.model.vocab));
    for (const token of file.added_tokens) this.idOf.set(token.content, token.id);
    this.size = Math.max(...this.idOf.values()) + 1;
    this.textOf = new Array(this.size).fill("");
    for (const [text, id] of this.idOf) this.textOf[id] = text;

    // A pair of neighbours -> which merge it is (early ones first) and the token it becomes.
    this.merges = new Map();
    file.model.merges.forEach(([left, right], rank) => {
      this.merges.set(this.pair(this.idOf.get(left), this.idOf.get(right)), [rank, this.idOf.get(left + right)]);
    });
    const added = file.added_tokens.map((token) => token.content);
    this.everyAdded = anyOf(added);
    this.addedButControl = anyOf(added.filter((text) => !control.includes(text)));
    this.pieces = cutter(file);
    this.known = new Map(); // piece -> ids: texts repeat their words
  }

  pair(left, right) {
    return left * this.size + right;
  }

  // Text -> ids. Added tokens (item IDs and control tokens) count as such wherever they stand: so this is for the
  // context, in which typed text has been escaped. `typed`: control tokens are read as plain letters.
  encode(text, typed = false) {
    const ids = [];
    let from = 0;
    const added = typed ? this.addedButControl : this.everyAdded;
    for (const match of added ? text.matchAll(added) : []) {
      this.encodePlain(text.slice(from, match.index), ids);
      ids.push(this.idOf.get(match[0]));
      from = match.index + match[0].length;
    }
    this.encodePlain(text.slice(from), ids);
    return ids;
  }

  encodePlain(text, ids) {
    let from = 0;
    for (const match of text.matchAll(this.pieces)) {
      if (match.index > from) ids.push(...this.encodePiece(text.slice(from, match.index)));
      ids.push(...this.encodePiece(match[0]));
      from = match.index + match[0].length;
    }
    if (from < text.length) ids.push(...this.encodePiece(text.slice(from)));
  }

  // BPE itself: begin with single bytes; as long as there is a known pair of neighbours, merge the one learnt first.
  encodePiece(piece) {
    const known = this.known.get(piece);
    if (known) return known;
    const ids = Array.from(new TextEncoder().encode(piece), (byte) => this.idOf.get(this.alphabet[byte]));
    for (;;) {
      let best = null, at = -1;
      for (let i = 0; i + 1 < ids.length; i++) {
        const merge = this.merges.get(this.pair(ids[i], ids[i + 1]));
        if (merge && (!best || merge[0] < best[0])) [best, at] = [merge, i];
      }
      if (!best) break;
      ids.splice(at, 2, best[1]);
    }
    if (this.known.size < 20000 && piece.length < 100) this.known.set(piece, ids);
    return ids;
  }

  // Ids -> text. Bytes that are no UTF-8 become U+FFFD.
  decode(ids) {
    const bytes = [];
    for (const id of ids) for (const char of this.textOf[id]) bytes.push(this.byteOf.get(char) ?? 63);
    return new TextDecoder().decode(new Uint8Array(bytes));
  }
}

// A pattern that finds any of these texts, the longest one where several begin; null for none.
function anyOf(texts) {
  const longestFirst = [...texts].sort((a, b) => b.length - a.length);
  const literal = (text) => text.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&");
  return texts.length ? new RegExp(longestFirst.map(literal).join("|"), "gu") : null;
}

// The pattern by which the run's tokenizer cuts text into pieces; BPE never merges across a cut.
// Its \s is Unicode's white space, which JavaScript's \s is not quite.
function cutter(file) {
  const split = file.pre_tokenizer.pretokenizers.find((step) => step.type === "Split");
  return new RegExp(split.pattern.Regex.replaceAll("\\s", "\\p{White_Space}"), "gu");
}
