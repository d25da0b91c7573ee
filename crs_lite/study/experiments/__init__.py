"""Named experiments, one module a question. Every seed trains its start once, and the arms branch from it.

`book/protocol.md` says what is measured and why; this room is its executable half. An experiment is a function
`Prepared -> (row name, what makes the row), ...`; a new one is a module here and a line in `EXPERIMENTS`.
"""

from collections.abc import Callable

from crs_lite.prepared import Prepared
from crs_lite.study.experiments.answers import answers
from crs_lite.study.experiments.arms import arms
from crs_lite.study.experiments.capacity import capacity
from crs_lite.study.experiments.ensembles import ensembles
from crs_lite.study.experiments.explorers import explorers
from crs_lite.study.experiments.formats import formats
from crs_lite.study.experiments.internal import internal
from crs_lite.study.experiments.latents import latents
from crs_lite.study.experiments.lessons import lessons
from crs_lite.study.experiments.levers import levers
from crs_lite.study.experiments.list_rewards import list_rewards
from crs_lite.study.experiments.loop import long_loop, loop, temperature
from crs_lite.study.experiments.main import main
from crs_lite.study.experiments.mapping import mapping
from crs_lite.study.experiments.mend import mend
from crs_lite.study.experiments.newcomers import newcomers
from crs_lite.study.experiments.noise import noise
from crs_lite.study.experiments.own_log import own_log, own_log_choices, own_log_lessons
from crs_lite.study.experiments.passes import passes
from crs_lite.study.experiments.pretrained import pretrained
from crs_lite.study.experiments.rates import rates
from crs_lite.study.experiments.schedules import schedules
from crs_lite.study.experiments.shared import Made
from crs_lite.study.experiments.sizes import sizes
from crs_lite.study.experiments.teachers import teachers
from crs_lite.study.experiments.thoughts import thoughts
from crs_lite.study.experiments.tune import tune, tune_baselines

EXPERIMENTS: dict[str, Callable[[Prepared], Made]] = {
    "tune": tune,
    "tune-baselines": tune_baselines,
    "arms": arms,
    "loop": loop,
    "long-loop": long_loop,
    "temperature": temperature,
    "main": main,
    "mapping": mapping,
    "noise": noise,
    "mend": mend,
    "capacity": capacity,
    "lessons": lessons,
    "levers": levers,
    "answers": answers,
    "thoughts": thoughts,
    "explorers": explorers,
    "formats": formats,
    "schedules": schedules,
    "list-rewards": list_rewards,
    "sizes": sizes,
    "internal": internal,
    "teachers": teachers,
    "newcomers": newcomers,
    "passes": passes,
    "latents": latents,
    "ensembles": ensembles,
    "rates": rates,
    "pretrained": pretrained,
    "own-log-choices": own_log_choices,
    "own-log": own_log,
    "own-log-lessons": own_log_lessons,
}
