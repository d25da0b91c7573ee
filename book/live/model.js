// A Llama-style language model, forward only: embedding, layers of attention and SwiGLU, tied output head.
//
// Every token the model has read is one *column* of the key-value cache. A token is fed together with its *path*: the
// columns it may see, in order. Its place in the text is the length of its path. So thoughts and beams that share a
// prompt share its columns, as in crs_lite/decode.py; nothing is computed twice and nothing is copied.
"use strict";

class Llama {
  // config: what config.json holds. tensors: name -> Float32Array, as `readSafetensors` gives them.
  constructor(config, tensors) {
    this.width = config.hidden_size;
    this.hidden = config.intermediate_size;
    this.heads = config.num_attention_heads;
    this.groups = config.num_key_value_heads;
    this.headSize = config.head_dim ?? this.width / this.heads;
    this.vocab = config.vocab_size;
    this.epsilon = config.rms_norm_eps;
    this.longest = config.max_position_embeddings;
    this.embedding = tensors["model.embed_tokens.weight"];
    this.norm = tensors["model.norm.weight"];
    this.layers = Array.from({ length: config.num_hidden_layers }, (_, n) => {
      const weight = (name) => tensors[`model.layers.${n}.${name}.weight`];
      return {
        norm: weight("input_layernorm"), query: weight("self_attn.q_proj"), key: weight("self_attn.k_proj"),
        value: weight("self_attn.v_proj"), out: weight("self_attn.o_proj"), norm2: weight("post_attention_layernorm"),
        gate: weight("mlp.gate_proj"), up: weight("mlp.up_proj"), down: weight("mlp.down_proj"),
        keys: new Float32Array(0), values: new Float32Array(0), // the cache: one row a column
      };
    });
    this.rotation = rotationTable(this.longest, this.headSize, config.rope_parameters?.rope_theta ?? config.rope_theta);
    this.columns = 0; // how many columns are in use
    this.rows = 0; // how many tokens the work space below can hold
  }

  // Make room for `n` more tokens. Both spaces grow by doubling, so this rarely allocates anything.
  reserve(n) {
    const row = this.groups * this.headSize, columns = this.columns + n;
    if (columns * row > this.layers[0].keys.length) {
      for (const layer of this.layers) {
        for (const part of ["keys", "values"]) {
          const larger = new Float32Array(Math.max(columns, 512, (2 * layer[part].length) / row) * row);
          larger.set(layer[part]);
          layer[part] = larger;
        }
      }
    }
    if (n > this.rows) {
      this.rows = Math.max(n, 2 * this.rows);
      const space = (size) => new Float32Array(this.rows * size);
      this.x = space(this.width); // the residual stream
      this.normed = space(this.width);
      this.added = space(this.width);
      this.queries = space(this.heads * this.headSize);
      this.mixed = space(this.heads * this.headSize);
      this.gate = space(this.hidden);
      this.up = space(this.hidden);
      this.weights = new Float64Array(this.longest);
    }
  }

  // Feed tokens, one new column each. paths[t]: the columns that token t sees besides its own; earlier tokens of the
  // same call may be among them. -> logits (vocab) of the next token, for the rows in `wanted` (default: all).
  forward(tokens, paths, wanted = tokens.map((_, t) => t)) {
    const n = tokens.length, first = this.columns, w = this.width, row = this.groups * this.headSize;
    this.reserve(n);
    const { x, normed, added, queries, mixed, gate, up } = this;
    for (let t = 0; t < n; t++) x.set(this.embedding.subarray(tokens[t] * w, (tokens[t] + 1) * w), t * w);
    for (const layer of this.layers) {
      const keys = layer.keys.subarray(first * row), values = layer.values.subarray(first * row);
      rmsNorm(normed, x, layer.norm, n, w, this.epsilon);
      matmul(queries, normed, layer.query, n, w, this.heads * this.headSize);
      matmul(keys, normed, layer.key, n, w, row);
      matmul(values, normed, layer.value, n, w, row);
      for (let t = 0; t < n; t++) {
        this.rotate(queries, t, this.heads, paths[t].length);
        this.rotate(keys, t, this.groups, paths[t].length);
      }
      for (let t = 0; t < n; t++) this.attend(mixed, queries, layer, t, paths[t], first + t);
      matmul(added, mixed, layer.out, n, this.heads * this.headSize, w);
      for (let i = 0; i < n * w; i++) x[i] += added[i];

      rmsNorm(normed, x, layer.norm2, n, w, this.epsilon);
      matmul(gate, normed, layer.gate, n, w, this.hidden);
      matmul(up, normed, layer.up, n, w, this.hidden);
      for (let i = 0; i < n * this.hidden; i++) gate[i] *= up[i] / (1 + Math.exp(-gate[i])); // SwiGLU
      matmul(added, gate, layer.down, n, this.hidden, w);
      for (let i = 0; i < n * w; i++) x[i] += added[i];
    }
    this.columns += n;
    wanted.forEach((t, i) => x.copyWithin(i * w, t * w, (t + 1) * w)); // `wanted` ascends
    rmsNorm(normed, x, this.norm, wanted.length, w, this.epsilon);
    const logits = new Float32Array(wanted.length * this.vocab);
    matmul(logits, normed, this.embedding, wanted.length, w, this.vocab); // the head is the embedding
    return wanted.map((_, i) => logits.subarray(i * this.vocab, (i + 1) * this.vocab));
  }

  // Rotary positions: turn every pair (i, i + half) of a head by an angle that grows with the position.
  rotate(vectors, t, heads, position) {
    const half = this.headSize / 2, table = this.rotation, at = position * this.headSize;
    for (let head = 0; head < heads; head++) {
      const from = (t * heads + head) * this.headSize;
      for (let i = 0; i < half; i++) {
        const cos = table[at + i], sin = table[at + half + i], a = vectors[from + i], b = vectors[from + half + i];
        vectors[from + i] = a * cos - b * sin;
        vectors[from + half + i] = b * cos + a * sin;
      }
    }
  }

  // softmax(q k' / sqrt(size)) v for one token, head by head, over the columns of its path and its own.
  attend(mixed, queries, layer, t, path, own) {
    const size = this.headSize, row = this.groups * size, n = path.length + 1, weights = this.weights;
    const { keys, values } = layer, scale = 1 / Math.sqrt(size), share = this.heads / this.groups;
    for (let head = 0; head < this.heads; head++) {
      const q = (t * this.heads + head) * size, offset = Math.floor(head / share) * size;
      let most = -Infinity, total = 0;
      for (let j = 0; j < n; j++) {
        const k = (j < n - 1 ? path[j] : own) * row + offset;
        let dot = 0;
        for (let i = 0; i < size; i++) dot += queries[q + i] * keys[k + i];
        weights[j] = dot * scale;
        if (weights[j] > most) most = weights[j];
      }
      for (let j = 0; j < n; j++) total += weights[j] = Math.exp(weights[j] - most);
      for (let i = 0; i < size; i++) mixed[q + i] = 0;
      for (let j = 0; j < n; j++) {
        const v = (j < n - 1 ? path[j] : own) * row + offset, weight = weights[j] / total;
        for (let i = 0; i < size; i++) mixed[q + i] += weight * values[v + i];
      }
    }
  }
}

// out[t, o] = sum over i of x[t, i] * w[o, i]: T rows of n numbers times the m rows of a weight matrix.
// Almost all time is spent here. Four rows times two weight rows (or one times four) at once: every number that is read
// is used several times. Where the numbers do not divide, the last row is computed again, which does no harm.
function matmul(out, x, w, T, n, m) {
  if (T < 4) return matvec(out, x, w, T, n, m);
  for (let t = 0; t < T; t += 4) {
    const t1 = Math.min(t + 1, T - 1), t2 = Math.min(t + 2, T - 1), t3 = Math.min(t + 3, T - 1);
    const x0 = t * n, x1 = t1 * n, x2 = t2 * n, x3 = t3 * n;
    for (let o = 0; o < m; o += 2) {
      const p = Math.min(o + 1, m - 1), w0 = o * n, w1 = p * n;
      let a0 = 0, a1 = 0, a2 = 0, a3 = 0, b0 = 0, b1 = 0, b2 = 0, b3 = 0;
      for (let i = 0; i < n; i++) {
        const a = w[w0 + i], b = w[w1 + i], c0 = x[x0 + i], c1 = x[x1 + i], c2 = x[x2 + i], c3 = x[x3 + i];
        a0 += c0 * a; a1 += c1 * a; a2 += c2 * a; a3 += c3 * a;
        b0 += c0 * b; b1 += c1 * b; b2 += c2 * b; b3 += c3 * b;
      }
      out[t * m + o] = a0; out[t1 * m + o] = a1; out[t2 * m + o] = a2; out[t3 * m + o] = a3;
      out[t * m + p] = b0; out[t1 * m + p] = b1; out[t2 * m + p] = b2; out[t3 * m + p] = b3;
    }
  }
}

function matvec(out, x, w, T, n, m) {
  for (let t = 0; t < T; t++) {
    const x0 = t * n, y = t * m;
    for (let o = 0; o < m; o += 4) {
      const o1 = Math.min(o + 1, m - 1), o2 = Math.min(o + 2, m - 1), o3 = Math.min(o + 3, m - 1);
      const w0 = o * n, w1 = o1 * n, w2 = o2 * n, w3 = o3 * n;
      let a = 0, b = 0, c = 0, d = 0;
      for (let i = 0; i < n; i++) {
        const v = x[x0 + i];
        a += v * w[w0 + i]; b += v * w[w1 + i]; c += v * w[w2 + i]; d += v * w[w3 + i];
      }
      out[y + o] = a; out[y + o1] = b; out[y + o2] = c; out[y + o3] = d;
    }
  }
}

// Every row of x divided by its root mean square, times a learnt scale.
function rmsNorm(out, x, scale, T, n, epsilon) {
  for (let t = 0; t < T; t++) {
    let squares = 0;
    for (let i = 0; i < n; i++) squares += x[t * n + i] ** 2;
    const factor = 1 / Math.sqrt(squares / n + epsilon);
    for (let i = 0; i < n; i++) out[t * n + i] = x[t * n + i] * factor * scale[i];
  }
}

// Row p: the cosines of position p, then its sines.
function rotationTable(positions, size, theta) {
  const half = size / 2, table = new Float32Array(positions * size);
  for (let p = 0; p < positions; p++) {
    for (let i = 0; i < half; i++) {
      const angle = p / theta ** ((2 * i) / size);
      table[p * size + i] = Math.cos(angle);
      table[p * size + half + i] = Math.sin(angle);
    }
  }
  return table;
}

// A safetensors file: 8 bytes that say how long the header is, the header (JSON), the numbers. -> name -> Float32Array
function readSafetensors(buffer) {
  const length = Number(new DataView(buffer).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, length)));
  const tensors = {};
  delete header.__metadata__;
  for (const [name, { dtype, data_offsets: [from, to] }] of Object.entries(header)) {
    const bytes = buffer.slice(8 + length + from, 8 + length + to);
    if (dtype === "F32") tensors[name] = new Float32Array(bytes);
    else if (dtype === "F16") tensors[name] = halfToSingle(new Uint16Array(bytes));
    else throw new Error(`${name}: numbers of type ${dtype} are not read here`);
  }
  return tensors;
}

// 16 bits: one sign, five exponent, ten fraction. There are only 65,536 of them, so they are worked out once.
const HALVES = Float32Array.from({ length: 65536 }, (_, bits) => {
  const sign = bits & 0x8000 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = bits & 1023;
  return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -14 * (fraction / 1024));
});

function halfToSingle(halves) {
  const out = new Float32Array(halves.length);
  for (let i = 0; i < out.length; i++) out[i] = HALVES[halves[i]];
  return out;
}
