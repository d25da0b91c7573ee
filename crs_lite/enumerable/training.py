"""Align, distil, explore by RL, consolidate: stochastic gradient steps on the tables, with numbers from the shop's own
generator, so that the page's script makes the same run. The RL step is that of `rl.py`, written out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from crs_lite import rewards as R
from crs_lite.enumerable import exact
from crs_lite.enumerable.policy import NOWHERE, START, Policy, add_item, add_thought, log_softmax, softmax, steps
from crs_lite.enumerable.shop import (
    FILLED,
    FILLERS,
    LONGEST,
    N_CONTEXTS,
    N_ITEMS,
    PRIOR,
    SIZES,
    STOP,
    TOKENS,
    WORDS,
    Generator,
    truth,
)


@dataclass(frozen=True)
class Settings:
    """One run. Stages are counted in steps; `batch` requests a step, and in RL `group` thoughts for each."""

    seed: int = 0
    bias: float = 0.0  # how often the teacher explains by its own prior, 0..1
    align: int = 150
    distil: int = 200
    rl: int = 300  # steps of one exploration
    consolidate: int = 0  # steps of SFT on right thoughts behind each exploration
    rounds: int = 1
    only_wrong: bool = False  # explore only requests that the round's start gets wrong
    judge: exact.Judge = "list"
    credit: float = 0.0  # what two shared ID tokens earn (one: a third of it); "list" only
    facts: float = 0.0  # what each stated facet that is true of the clicked item earns, and each other one costs
    batch: int = 16
    group: int = 8
    temperature: float = 1.0
    kl: float = 0.02
    lr: float = 8.0  # of the supervised stages
    rl_lr: float = 8.0

    def plan(self) -> list[str]:
        """The stage of every step."""
        of_round = ["rl"] * self.rl + ["consolidate"] * self.consolidate
        return ["align"] * self.align + ["distil"] * self.distil + of_round * self.rounds


def true_facts(thought: Sequence[int], item: int) -> int:
    """Of the facets that a thought states: how many are the item's, less how many are not."""
    stated = {word for word in thought if word < sum(SIZES)}
    return 2 * len(stated & set(TOKENS[item].tolist())) - len(stated)


class Trainer:
    """A run that can be stepped. `policy` is what is trained; `done` steps of `plan` are behind us."""

    def __init__(self, settings: Settings):
        self.settings, self.plan, self.done = settings, settings.plan(), 0
        self.generator = Generator(settings.seed)
        self.policy = Policy.start(self.generator)
        self.truth = truth()
        self.clicks = self.truth.ravel().cumsum()  # requests: (context, clicked item), all contexts equally often
        self.requests = self.clicks
        self.start = self.policy  # where the stage began: RL's reference, consolidation's author
        self.lists: dict[tuple, np.ndarray] = {}

    def step(self) -> dict[str, float]:
        """One step of the stage that is due -> what it saw: `reward` and `silent` in RL, else nothing."""
        stage = self.plan[self.done]
        if self.done == 0 or self.plan[self.done - 1] != stage:
            self._begin(stage)
        self.done += 1
        return getattr(self, f"_{stage}")()

    def run(self, until: int | None = None) -> Iterator[dict[str, float]]:
        """Steps up to number `until`, or all."""
        while self.done < (len(self.plan) if until is None else until):
            yield self.step()

    def _begin(self, stage: str) -> None:
        self.start, self.lists = self.policy.copy(), {}
        self.start_words = self.start.tables["words"]
        self.requests = self.clicks
        if stage == "rl" and self.settings.only_wrong:
            weight = self.truth.copy()
            for c in range(N_CONTEXTS):
                s = exact.sums(self.start, c)
                weight[c, s.lists[s.greedy, 0]] = 0.0  # put first, so right
            self.requests = weight.ravel().cumsum()

    def _request(self) -> tuple[int, int]:
        return divmod(self.generator.below(self.requests), N_ITEMS)

    # -- supervised stages ----------------------------------------------------------------------------------------

    def _align(self) -> dict[str, float]:
        """Half the lessons: context -> ID, without a thought. Half: an item's words -> its ID, without a context."""
        gradient, share = Policy.zeros(), 1 / self.settings.batch
        for n in range(self.settings.batch):
            if n % 2 == 0:
                c, item = self._request()
                add_item(gradient, self.policy, c, (), item, [share] * len(SIZES))
            else:
                item = int(self.generator.uniform() * N_ITEMS)
                add_item(gradient, self.policy, NOWHERE, TOKENS[item], item, [share] * len(SIZES))
        self.policy.theta += self.settings.lr * gradient.theta
        return {}

    def _distil(self) -> dict[str, float]:
        requests = [self._request() for _ in range(self.settings.batch)]
        self._learn([(c, self._lesson(item), item) for c, item in requests])
        return {}

    def _lesson(self, item: int) -> tuple[int, ...]:
        """What the teacher writes about a click: see `shop.lessons`."""
        category, *own = TOKENS[item].tolist()
        named = (category, *(PRIOR if self.generator.uniform() < self.settings.bias else own))
        thought = []
        for word in named:
            if self.generator.uniform() < FILLED:
                word = STOP - len(FILLERS) + int(self.generator.uniform() * len(FILLERS))
            thought.append(word)
        return tuple(thought)

    def _learn(self, lessons: Sequence[tuple[int, tuple[int, ...], int]]) -> None:
        """Next-token loss on context -> thought, ID: every token of the batch counts alike."""
        gradient, share = Policy.zeros(), 1 / self.settings.batch
        probs = softmax(self.policy.tables["words"])
        for c, thought, item in lessons:
            add_thought(gradient, probs[c], c, thought, [share] * len(steps(thought)))
            add_item(gradient, self.policy, c, thought, item, [share] * len(SIZES))
        self.policy.theta += self.settings.lr * gradient.theta

    def _consolidate(self) -> dict[str, float]:
        """SFT on thoughts of the explorer that lead to the click: of each request the first of two that is right."""
        cumulative = softmax(self.start.tables["words"] / self.settings.temperature).cumsum(-1)
        kept = []
        for _ in range(self.settings.batch):
            c, item = self._request()
            for _ in range(2):
                thought = self._thought(cumulative[c])
                if self._list(self.start, c, thought)[0] == item:
                    kept.append((c, thought, item))
                    break
        self._learn(kept)
        return {"kept": len(kept) / self.settings.batch}

    # -- reinforcement --------------------------------------------------------------------------------------------

    def _thought(self, cumulative: np.ndarray) -> tuple[int, ...]:
        """Words drawn one by one; cumulative `(13, 13)` of one context."""
        thought: list[int] = []
        while len(thought) < LONGEST:
            word = self.generator.below(cumulative[thought[-1] if thought else START])
            if word == STOP:
                break
            thought.append(word)
        return tuple(thought)

    def _list(self, policy: Policy, c: int, thought: tuple[int, ...]) -> np.ndarray:
        """Beams behind a thought, `(K,)`; remembered as long as the decoder stays the same."""
        key = c, tuple(sorted(thought))
        if key not in self.lists:
            bag = np.bincount(np.array(thought, int), minlength=len(WORDS))[None]
            self.lists[key] = exact.best(policy.item_logprobs(c, bag))[0]
        return self.lists[key]

    def _draw_item(self, c: int, thought: tuple[int, ...]) -> int:
        """An ID drawn token by token at the rollout's temperature."""
        item = 0
        for level in range(len(SIZES)):
            p = self.policy.id_probs(c, thought, item)[level]
            token = self.generator.below((p ** (1 / self.settings.temperature)).cumsum())
            item += token * int(np.prod(SIZES[level + 1 :]))
        return item

    def _rl(self) -> dict[str, float]:
        """One step of GRPO (judge "drawn") or R-GRPO: sample groups, judge them, climb by advantage and KL."""
        s = self.settings
        drawn = s.judge == "drawn"
        if drawn:
            self.lists = {}  # its loss covers the ID, so the decoder moves
        logits = self.policy.tables["words"]
        probs, logp, reference = softmax(logits), log_softmax(logits), log_softmax(self.start_words)
        cumulative = softmax(logits / s.temperature).cumsum(-1)
        gradient, rewards, silent = Policy.zeros(), [], 0
        for _ in range(s.batch):
            c, target = self._request()
            group, reward = [], []
            for _ in range(s.group):
                thought = self._thought(cumulative[c])
                item = self._draw_item(c, thought) if drawn else -1
                listed = np.array([item]) if drawn else self._list(self.policy, c, thought)
                group.append((thought, item))
                of_list = float(exact.list_worth(listed, target, s.judge, s.credit))
                reward.append(of_list + s.facts * true_facts(thought, target))
            advantage, informative = R.group_advantage(np.array([reward]))
            rewards += reward
            silent += not informative[0]
            if not informative[0]:
                continue
            for (thought, item), a in zip(group, advantage[0], strict=True):
                path = steps(thought)
                weight = 1 / (len(path) + len(SIZES) * drawn) / (s.batch * s.group)  # every trajectory counts the same
                # Of advantage * log pi - kl * (exp(gap) - gap - 1) the slope in log pi, at each choice.
                gap = np.array([reference[c][choice] - logp[c][choice] for choice in path])
                add_thought(gradient, probs[c], c, thought, weight * (a - s.kl * (1 - np.exp(gap))))
                if drawn:
                    add_item(gradient, self.policy, c, thought, item, self._id_weights(c, thought, item, a) * weight)
        self.policy.theta += s.rl_lr * gradient.theta
        return {"reward": float(np.mean(rewards)), "silent": silent / s.batch}

    def _id_weights(self, c: int, thought: tuple[int, ...], item: int, advantage: float) -> np.ndarray:
        """Advantage less the pull of the KL on each of the ID's tokens, `(3,)`."""
        at = [int(t) for t in np.unravel_index(item, SIZES)]
        now, then = (p.id_probs(c, thought, item) for p in (self.policy, self.start))
        ratio = np.array([then[n][t] / now[n][t] for n, t in enumerate(at)])
        return advantage - self.settings.kl * (1 - ratio)
