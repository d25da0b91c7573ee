"""The project's own estimators against exact sums: what a group's gradient is on average, how far it strays, what the
KL term pulls at, and what leaving a thought out of the merged list estimates."""

import copy

import numpy as np
import pytest
import torch

from crs_lite import rewards as R
from crs_lite import rl
from crs_lite.enumerable import demonstrations, exact, groups, shop
from crs_lite.enumerable.policy import Policy, log_softmax, softmax, steps
from crs_lite.enumerable.training import Settings, Trainer
from crs_lite.errors import CRSError

CONTEXT, TARGET = shop.TWO_TASTES, 7  # the other taste: "lamp Brio bold"
CHOICES = shop.STOP + 1
# The project's IDs have four tokens: a fourth that is the same everywhere changes nothing.
IDS = np.hstack([shop.TOKENS, np.full((shop.N_ITEMS, 1), 9)])
VOCAB = rl.Vocabulary(pad=-9, end_think=-8, sid=IDS)
NO_CREDIT = R.RewardConfig(prefix_credit=(0.0, 0.0, 0.0))


@pytest.fixture(scope="module")
def policy():
    """After a teacher with some bias: thoughts matter, and do not decide alone."""
    return demonstrations.distilled(0, 0.5)


def tensors(logits, numbers):
    """log-probabilities and mask `(B, G, 4)` of thoughts by number, from logits `(13, 13)`. A forced end is masked."""
    paths = [steps(shop.thoughts()[n]) for n in numbers.reshape(-1)]
    width = shop.LONGEST + 1
    at = torch.tensor([[last * CHOICES + word for last, word in p] + [0] * (width - len(p)) for p in paths])
    mask = torch.tensor([[True] * len(p) + [False] * (width - len(p)) for p in paths])
    logprob = logits.log_softmax(-1).reshape(-1)[at] * mask
    return logprob.view(*numbers.shape, width), mask.view(*numbers.shape, width)


def judged(s, numbers, judge, rng):
    """Rewards of trajectories by number `(B, G)`, by the project's own functions."""
    config = rl.RLConfig(arm={"list": "rgrpo", "first": "beam_top1", "drawn": "grpo"}[judge], reward=NO_CREDIT)
    if judge == "drawn":
        cumulative = s.items.cumsum(1)
        drawn = (cumulative[numbers] < rng.random(numbers.shape)[..., None]).sum(-1)
        listed = VOCAB.items_of(IDS[drawn])[..., None]
    else:
        listed = s.lists[numbers]
    return rl.rank_part(listed, np.array(TARGET), VOCAB, config)


@pytest.mark.parametrize("judge", ["list", "first", "drawn"])
@pytest.mark.parametrize(("loss", "scale"), [("dr_grpo", False), ("grpo", True)])
def test_sampled_group_gradients_stray_from_the_exact_mean_as_far_as_the_exact_variance_says(
    policy, judge, loss, scale
):
    """4,000 groups of 8. Unscaled and by dr_grpo's weights: the value's gradient times 1 - 1/G. As GRPO does it
    (divided by the spread, tokens weighed by 1 / length): the mean of that."""
    group, n, rng = 8, 4_000, np.random.default_rng(11)
    s, score = exact.sums(policy, CONTEXT), exact.scores(policy, CONTEXT)
    numbers = rng.choice(len(s.prob), size=(n, group), p=s.prob / s.prob.sum())
    advantage, informative = R.group_advantage(judged(s, numbers, judge, rng), scale=scale)
    logits = torch.tensor(policy.tables["words"][CONTEXT], requires_grad=True)
    logprob, mask = tensors(logits, numbers)
    config = rl.RLConfig(loss=loss, kl=0.0, scale_advantage=scale)
    longest = shop.LONGEST + 1
    weight = rl.token_weight(mask, config, longest).double()
    value, _ = rl.policy_loss(logprob, logprob.detach(), None, torch.tensor(advantage), weight, config)
    value.backward()
    sampled = -logits.grad.numpy().ravel()

    length = np.array([len(steps(t)) for t in shop.thoughts()])[:, None]
    per_token = score / (longest if loss == "dr_grpo" else length)
    known = groups.group_noise(*groups.outcomes(s, TARGET, judge), per_token, group, scale)
    stray = ((sampled - known.mean) ** 2).sum() / (known.variance / n)
    assert 0.4 < stray < 2.5  # squared error over its expectation; float32 weights are far finer
    direction = known.mean / np.linalg.norm(known.mean)
    of_groups = (advantage[..., None] * per_token[numbers]).mean(1)  # (n, 169)
    standard_error = (of_groups @ direction).std() / n**0.5
    assert abs((sampled - known.mean) @ direction) < 4 * standard_error
    assert of_groups.var(0).sum() == pytest.approx(known.variance, rel=0.06)
    assert abs((1 - informative.mean()) - known.silent) < 4 * (known.silent * (1 - known.silent) / n) ** 0.5 + 1e-3
    if not scale:
        expected = (1 - 1 / group) * exact.gradient(policy, CONTEXT, TARGET, judge) / longest
        assert np.allclose(known.mean, expected, atol=1e-12)
    else:  # a reward of 0 or 1, divided by its spread, keeps its arrow; the reward of a whole list does not
        g = exact.gradient(policy, CONTEXT, TARGET, judge)
        even = groups.group_noise(*groups.outcomes(s, TARGET, judge), score / longest, group, scale).mean
        cosine = even @ g / np.linalg.norm(even) / np.linalg.norm(g)
        assert cosine < 1 - 1e-5 if judge == "list" else cosine == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("judge", ["list", "drawn"])
def test_the_variance_of_a_group_is_the_textbook_variance_of_a_sample_covariance(policy, judge):
    """Unscaled, G/(G-1) times the estimate is the sample covariance of reward and score, of known variance:
    m22 / G - (G - 2) / (G (G - 1)) m11^2 + m20 m02 / (G (G - 1)), in central moments."""
    g = 5
    s, score = exact.sums(policy, CONTEXT), exact.scores(policy, CONTEXT)
    values, joint = groups.outcomes(s, TARGET, judge)
    known = groups.group_noise(values, joint, score, g, scale=False)
    centred = values - values @ joint.sum(1)
    m22 = ((centred**2) @ joint) @ score**2
    m11 = (centred @ joint) @ score
    m20, m02 = (centred**2) @ joint.sum(1), s.prob @ score**2
    variance = m22 / g - (g - 2) / (g * (g - 1)) * m11**2 + m20 * m02 / (g * (g - 1))
    assert known.variance == pytest.approx((1 - 1 / g) ** 2 * variance.sum(), rel=1e-9)


def test_groups_that_cannot_be_listed_are_refused(policy):
    s, score = exact.sums(policy, CONTEXT), exact.scores(policy, CONTEXT)
    with pytest.raises(CRSError, match="different rewards in groups of 16"):
        groups.group_noise(*groups.outcomes(s, TARGET, "list", 0.06), score, 16)


def test_luck_is_the_law_of_total_variance(policy):
    s = exact.sums(policy, CONTEXT)
    parts, hit = groups.luck(s, TARGET), s.merged[TARGET]
    assert parts["thought"] + parts["draw"] == pytest.approx(hit * (1 - hit))  # of a coin with the merged probability
    rng = np.random.default_rng(5)
    numbers = rng.choice(len(s.prob), size=(20_000, 1), p=s.prob / s.prob.sum())
    twice = [judged(s, numbers, "drawn", rng)[:, 0] for _ in range(2)]
    covariance = np.cov(*twice)[0, 1]  # two judgements of one thought share only the thought
    assert abs(covariance - parts["thought"]) < 4 * (np.prod(twice, axis=0).std() + 0.25) / 20_000**0.5


def test_the_kl_term_measures_one_divergence_and_pulls_at_the_other(policy):
    """k3 is, on average, KL(policy | reference). But its slope is taken at sampled tokens as if they were given: on
    average the gradient of KL(reference | policy) at each visited state. Both by summing over every thought."""
    reference = demonstrations.distilled(1, 0.5)
    s = exact.sums(policy, CONTEXT)
    everything = np.arange(len(s.prob))[None]  # one "group" of all 1,885 thoughts, each weighed by its probability
    logits = torch.tensor(policy.tables["words"][CONTEXT], requires_grad=True)
    logprob, mask = tensors(logits, everything)
    with torch.no_grad():
        ref, _ = tensors(torch.tensor(reference.tables["words"][CONTEXT]), everything)
    weight = torch.tensor(s.prob)[None, :, None] * mask
    config = rl.RLConfig(kl=1.0, kl_on_silent_groups=True)
    loss, logs = rl.policy_loss(logprob, logprob.detach(), ref, torch.zeros(everything.shape).double(), weight, config)
    then = exact.sums(reference, CONTEXT).prob
    assert logs["kl"] == pytest.approx(float(s.prob @ np.log(s.prob / then)), rel=1e-9)
    loss.backward()

    visits = np.einsum("n,nij->i", s.prob, exact.choices())  # how often each state is visited
    now, old = (softmax(p.tables["words"][CONTEXT]) for p in (policy, reference))
    assert np.allclose(logits.grad.numpy(), visits[:, None] * (now - old), atol=1e-12)  # = d KL(old | now) / d logits
    h, forward = 1e-6, []
    at = np.unravel_index(logits.grad.abs().argmax().item(), now.shape)
    for sign in (1, -1):
        table = policy.tables["words"][CONTEXT].copy()
        table[at] += sign * h
        forward.append(visits @ (old * (np.log(old) - log_softmax(table))).sum(1))
    assert logits.grad.numpy()[at] == pytest.approx((forward[0] - forward[1]) / (2 * h), rel=1e-5)


@pytest.mark.parametrize("judge", ["list", "first", "drawn"])
def test_a_step_of_training_is_a_step_of_policy_loss(judge):
    """The step written out in tables moves the thoughts' parameters by the gradient of the project's own loss."""
    settings = Settings(seed=4, align=40, distil=60, rl=6, judge=judge, kl=0.5, temperature=1.3, batch=5, group=6)
    trainer = Trainer(settings)
    for _ in trainer.run(104):  # four steps of RL: policy and reference differ
        pass
    before, replay = trainer.policy.copy(), copy.deepcopy(trainer)
    trainer.step()
    moved = (trainer.policy.theta - before.theta) / settings.rl_lr

    cumulative = softmax(before.tables["words"] / settings.temperature).cumsum(-1)
    contexts, numbers, reward, number_of = [], [], [], {t: n for n, t in enumerate(shop.thoughts())}
    for _ in range(settings.batch):
        c, target = replay._request()
        group, earned = [], []
        for _ in range(settings.group):
            thought = replay._thought(cumulative[c])
            item = replay._draw_item(c, thought) if judge == "drawn" else -1
            listed = np.array([item]) if judge == "drawn" else replay._list(before, c, thought)
            arm = {"list": "rgrpo", "first": "beam_top1", "drawn": "grpo"}[judge]
            config = rl.RLConfig(arm=arm, kl=settings.kl, reward=NO_CREDIT)
            earned.append(float(rl.rank_part(listed, np.array(target), VOCAB, config)))
            group.append(number_of[thought])
        contexts.append(c)
        numbers.append(group)
        reward.append(earned)
    advantage = torch.tensor(R.group_advantage(np.array(reward))[0])
    logits = torch.tensor(before.tables["words"], requires_grad=True)
    pairs = [tensors(logits[c], np.array([g])) for c, g in zip(contexts, numbers, strict=True)]
    old = torch.tensor(replay.start_words)
    ref = torch.cat([tensors(old[c], np.array([g]))[0] for c, g in zip(contexts, numbers, strict=True)])
    logprob, mask = (torch.cat(x) for x in zip(*pairs, strict=True))
    length = mask.sum(-1, keepdim=True) + (3 if judge == "drawn" else 0)  # the ID's tokens share GRPO's weight
    weight = rl.token_weight(mask, config, 4).double() * mask.sum(-1, keepdim=True) / length
    loss, _ = rl.policy_loss(logprob, logprob.detach(), ref, advantage, weight, config)
    loss.backward()
    assert np.allclose(Policy(moved).tables["words"], -logits.grad.numpy(), atol=1e-8)
    assert np.abs(moved).max() > 1e-3
    decoder = Policy(moved).tables["meaning"]
    assert decoder.any() == (judge == "drawn")  # only GRPO's loss covers the ID


# -- leaving a thought out of the merged list: thirteen thoughts, every group of two, three, four -------------------


@pytest.fixture(scope="module")
def small():
    """A policy of thoughts of at most one word, and what each of the thirteen makes of the items."""
    policy = demonstrations.distilled(2, 0.5)
    return policy, exact.sums(policy, CONTEXT, longest=1), exact.scores(policy, CONTEXT, longest=1)


def slope(policy, worth, size=169, h=1e-5):
    """Finite differences of worth(prob of the 13 thoughts) in the thoughts' parameters."""
    moved, out = policy.copy(), np.zeros(size)
    table = moved.tables["words"][CONTEXT].reshape(-1)
    for n in range(size):
        at, values = table[n], []
        for sign in (1, -1):
            table[n] = at + sign * h
            values.append(worth(exact.sums(moved, CONTEXT, longest=1).prob))
        table[n] = at
        out[n] = (values[0] - values[1]) / (2 * h)
    return out


@pytest.mark.parametrize("group", [2, 3])
@pytest.mark.parametrize("target", [0, 7, 2])
def test_leaving_a_thought_out_is_an_unbiased_gradient_of_the_merged_lists_value(small, group, target):
    """V_G = E R(list of the mean of G thoughts). E sum_i (R(all) - R(all but i)) score_i = grad V_G exactly: what is
    left out does not depend on thought i, so it is a baseline. With the mean over i that losses take: 1/G of it."""
    policy, s, score = small
    number = groups.all_groups(13, group)
    chance = s.prob[number].prod(-1)
    assert chance.sum() == pytest.approx(1)
    advantage = groups.worth_to_list(s.items[number], target)
    estimate = np.einsum("x,xg,xgd->d", chance, advantage, score[number])
    reward = exact.list_worth(exact.best(s.items[number].mean(1)), target, "list")
    gradient = slope(policy, lambda prob: float(prob[number].prod(-1) @ reward))
    assert np.abs(gradient).max() > 1e-3
    assert np.allclose(estimate, gradient, atol=1e-8)
    mean_over_group = np.einsum("x,xg,xgd->d", chance, advantage, score[number]) / group
    assert np.allclose(mean_over_group, gradient / group, atol=1e-8)


@pytest.mark.slow
@pytest.mark.parametrize("group", [2, 3])
def test_the_log_worth_is_an_unbiased_gradient_of_a_bound_on_the_likelihood(small, group):
    """log mean_j p_j - log mean_{j != i} p_j: unbiased for grad E log mean_j p_j, not for grad log E p."""
    policy, s, score = small
    p = s.items[:, TARGET]
    number = groups.all_groups(13, group)
    advantage = groups.worth_to_likelihood(p[number])
    estimate = np.einsum("x,xg,xgd->d", s.prob[number].prod(-1), advantage, score[number])
    bound = slope(policy, lambda prob: groups.likelihood_bound(prob, p, group))
    assert np.allclose(estimate, bound, atol=1e-8)


def test_the_bound_rises_to_the_likelihood_and_its_gradient_turns_towards_it(small):
    policy, s, score = small
    p = s.items[:, TARGET]
    likelihood = groups.total_log(s.prob, p)
    bounds = [groups.likelihood_bound(s.prob, p, g) for g in (1, 2, 3, 4)]
    assert (
        bounds[0] == pytest.approx(float(s.prob @ np.log(p))) and sorted(bounds) == bounds and bounds[-1] < likelihood
    )
    exact_gradient = (s.prob * p / (s.prob @ p)) @ score  # sum of posterior * score
    assert np.allclose(exact_gradient, slope(policy, lambda prob: groups.total_log(prob, p)), atol=1e-8)
    off, selfish = [], []
    for group in (2, 3, 4):
        number = groups.all_groups(13, group)
        chance, of = s.prob[number].prod(-1), p[number]
        estimate = np.einsum("x,xg,xgd->d", chance, groups.worth_to_likelihood(of), score[number])
        off.append(np.linalg.norm(estimate - exact_gradient))
        own = np.einsum("x,xg,xgd->d", chance, of / of.sum(-1, keepdims=True), score[number])
        selfish.append(np.linalg.norm(own - exact_gradient))
    assert off[0] > off[1] > off[2] > 1e-3  # biased for the likelihood, and less with every thought
    assert selfish[0] > selfish[1] > selfish[2] > 1e-3  # so is p_i / sum_j p_j


def test_worth_by_hand():
    """Two thoughts: one sees the target first, one nothing of it."""
    items = np.full((2, 24), 0.001)
    items[0, 5], items[1, 9] = 0.9, 0.5
    assert groups.worth_to_list(items, 5).tolist() == [1.0, 0.0]
    items[1, 9] = 2.0  # now the other's item leads the merged list
    assert groups.worth_to_list(items, 5) == pytest.approx([1 / np.log2(3), 1 / np.log2(3) - 1], abs=1e-12)
    assert groups.worth_to_likelihood(np.array([0.4, 0.1])) == pytest.approx(np.log([0.25 / 0.1, 0.25 / 0.4]))
