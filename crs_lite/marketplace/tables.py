"""The shop's vocabulary: departments, categories, words sellers and shoppers use, cities and their weather.

Everything here is invented for this project except city names, device names and (rounded) monthly temperatures.
No value of one facet occurs inside a value of another facet, so reasoning text can be read back unambiguously.
"""

from __future__ import annotations

from dataclasses import dataclass, field

# -- tastes (hidden) and the facets that show them --------------------------------------------------

STYLES = ("minimal", "retro", "bold", "natural")
RANGES = ("budget", "mid-range", "premium")
BRANDS = ("Nordfell", "Graypeak", "Brightmoor", "Tidewell", "Oakhaven", "Lumacroft")
INITIALS = dict(zip(BRANDS, ("nf", "gp", "bm", "tw", "oh", "lc"), strict=True))
DEPARTMENTS = ("outdoor", "gaming", "home", "mobile")

# What a seller writes for a value.
STYLE_WORDS = {
    "minimal": ("minimal", "clean-line"),
    "retro": ("retro", "vintage"),
    "bold": ("bold", "vivid"),
    "natural": ("natural", "earthy"),
}
RANGE_WORDS = {
    "budget": ("budget", "low-cost"),
    "mid-range": ("everyday", "all-round"),
    "premium": ("premium", "deluxe"),
}
PRICE_FACTOR = {"budget": 0.6, "mid-range": 1.0, "premium": 1.9}

# -- context facets ---------------------------------------------------------------------------------

BANDS = ("cold weather", "mild weather", "hot weather")
WEATHER_WORDS = {
    "cold weather": ("down-filled", "thermal", "fleece-lined"),
    "mild weather": ("windproof", "mid-layer", "showerproof"),
    "hot weather": ("breathable", "airy", "ultralight"),
}
GENDERS = ("female", "male")
AUDIENCES = ("women", "men")  # the audience that goes with each gender
AGES = ("18-29", "30-44", "45-59", "60+")

PHONES = ("Pixel 9", "iPhone 16", "Galaxy S25", "Fairphone 5", "Xperia 1")
LAPTOPS = ("MacBook Air", "ThinkPad X1", "Zenbook 14", "Surface Pro")
CONSOLES = ("PlayStation 5", "Switch 2", "Xbox Series X")
DEVICES = {"phone": PHONES, "laptop": LAPTOPS, "console": CONSOLES}  # profile field -> models
CONSOLE_OWNERS = 0.6  # share of shoppers who own one; everybody owns a phone and a laptop

# Mean temperature by month, January first, in degrees Celsius.
CITIES = {
    "Oslo": (-4, -3, 1, 6, 12, 16, 18, 17, 12, 7, 1, -3),
    "Toronto": (-4, -3, 1, 8, 14, 20, 23, 22, 18, 11, 5, -1),
    "Berlin": (1, 2, 5, 10, 15, 18, 20, 20, 15, 10, 5, 2),
    "Tokyo": (5, 6, 9, 14, 19, 22, 26, 27, 24, 18, 13, 8),
    "Madrid": (6, 8, 11, 13, 17, 23, 26, 26, 21, 15, 9, 7),
    "Mumbai": (24, 25, 27, 29, 30, 29, 28, 27, 28, 29, 28, 26),
    "Singapore": (26, 27, 28, 28, 28, 28, 28, 28, 28, 28, 27, 26),
    "Sydney": (24, 23, 22, 19, 16, 13, 12, 14, 16, 18, 20, 22),
    "Buenos Aires": (25, 24, 22, 18, 14, 11, 9, 12, 14, 17, 20, 23),
    "Ushuaia": (10, 10, 8, 6, 3, 2, 2, 2, 4, 6, 8, 9),
}
COLD_BELOW, HOT_FROM = 10, 20


def band(city: str, month: int) -> int:
    """Index into `BANDS` of a city in a month (1..12): cold below 10 degrees, hot from 20."""
    degrees = CITIES[city][month - 1]
    return 0 if degrees < COLD_BELOW else 2 if degrees >= HOT_FROM else 1


# -- who likes what: the stated prior over hidden tastes ---------------------------------------------

STYLE_GIVEN_AGE = {  # order of STYLES
    "18-29": (0.15, 0.10, 0.65, 0.10),
    "30-44": (0.65, 0.10, 0.15, 0.10),
    "45-59": (0.15, 0.10, 0.10, 0.65),
    "60+": (0.10, 0.65, 0.10, 0.15),
}
RANGE_GIVEN_AGE = {  # order of RANGES
    "18-29": (0.65, 0.25, 0.10),
    "30-44": (0.20, 0.65, 0.15),
    "45-59": (0.10, 0.25, 0.65),
    "60+": (0.20, 0.60, 0.20),
}
BRAND_PRIOR = (1 / 6,) * 6
HOBBY_PRIOR = (0.25,) * 4
AGE_PRIOR = (0.25,) * 4

# -- the catalogue ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Category:
    """`share`: relative number of items. `price`: of a mid-range item. `nouns`, `details`: words of its titles.

    `audience`, `weather`, `fits` say which context facets its items have; `season` fixes the weather of all of them.
    """

    name: str
    department: str
    share: int
    price: float
    nouns: tuple[str, ...]
    details: tuple[str, ...]
    audience: bool = False
    weather: bool = False
    fits: str | None = None
    season: str | None = None


def _clothes(name: str, share: int, price: float, nouns: tuple[str, ...], details: tuple[str, ...]) -> Category:
    return Category(name, "outdoor", share, price, nouns, details, audience=True, weather=True)


CATEGORIES = (
    _clothes("jacket", 60, 120, ("jacket", "coat"), ("hooded", "with zip pockets", "packable")),
    _clothes("shoes", 60, 90, ("shoes", "trainers"), ("lace-up", "slip-on", "with grip sole")),
    _clothes("trousers", 48, 60, ("trousers", "pants"), ("stretch", "straight-cut", "with belt loops")),
    _clothes("shirt", 48, 35, ("shirt", "top"), ("long-sleeve", "crew-neck", "button-up")),
    _clothes("hat", 42, 25, ("hat", "cap"), ("adjustable", "foldable", "brimmed")),
    Category(
        "sleeping bag",
        "outdoor",
        24,
        110,
        ("sleeping bag",),
        ("mummy-shape", "double", "with pillow"),
        weather=True,
    ),
    Category("backpack", "outdoor", 26, 80, ("backpack", "rucksack"), ("20 l", "35 l", "roll-top")),
    Category("tent", "outdoor", 26, 240, ("tent", "dome tent"), ("2-person", "4-person", "quick-pitch")),
    Category("graphics card", "gaming", 28, 480, ("graphics card", "GPU"), ("8 GB", "12 GB", "16 GB")),
    Category("gaming mouse", "gaming", 26, 50, ("gaming mouse", "mouse"), ("wireless", "wired", "6-button")),
    Category("keyboard", "gaming", 26, 85, ("keyboard", "mechanical keyboard"), ("compact", "full-size", "hot-swap")),
    Category("headset", "gaming", 26, 75, ("headset", "gaming headset"), ("over-ear", "with boom mic", "surround")),
    Category("monitor", "gaming", 26, 260, ("monitor", "display"), ("24-inch", "27-inch", "curved")),
    Category(
        "controller",
        "gaming",
        30,
        60,
        ("controller", "gamepad"),
        ("wireless", "with back paddles"),
        fits="console",
    ),
    Category("console case", "gaming", 27, 30, ("carry case", "travel case"), ("hard-shell", "padded"), fits="console"),
    Category("charging dock", "gaming", 24, 40, ("charging dock", "dock"), ("dual", "with cable tidy"), fits="console"),
    Category(
        "coffee machine",
        "home",
        28,
        210,
        ("coffee machine", "espresso maker"),
        ("with grinder", "2-cup", "15-bar"),
    ),
    Category("kettle", "home", 26, 45, ("kettle", "water kettle"), ("1.7 l", "gooseneck", "whistling")),
    Category("lamp", "home", 28, 55, ("lamp", "table lamp"), ("dimmable", "clip-on", "with shade")),
    Category("blanket", "home", 27, 40, ("blanket", "throw"), ("130 cm", "150 cm", "tasselled"), weather=True),
    Category("fan", "home", 24, 60, ("fan", "desk fan"), ("oscillating", "3-speed", "quiet"), season="hot weather"),
    Category(
        "heater",
        "home",
        24,
        80,
        ("heater", "room heater"),
        ("1500 W", "2000 W", "ceramic"),
        season="cold weather",
    ),
    Category("chef knife", "home", 26, 70, ("chef knife", "kitchen knife"), ("18 cm", "20 cm", "forged")),
    Category("frying pan", "home", 26, 50, ("frying pan", "skillet"), ("24 cm", "28 cm", "non-stick")),
    Category("camera", "mobile", 28, 620, ("camera", "compact camera"), ("20 MP", "24 MP", "with 3x zoom")),
    Category("tripod", "mobile", 26, 70, ("tripod", "camera stand"), ("120 cm", "150 cm", "flexible-leg")),
    Category("earbuds", "mobile", 28, 90, ("earbuds", "in-ear headphones"), ("wireless", "sealed", "with case")),
    Category(
        "phone case",
        "mobile",
        50,
        22,
        ("case", "phone case"),
        ("with stand", "shockproof", "slim"),
        fits="phone",
    ),
    Category("charger", "mobile", 35, 30, ("charger", "fast charger"), ("20 W", "30 W", "with cable"), fits="phone"),
    Category("screen protector", "mobile", 30, 14, ("screen protector",), ("2-pack", "anti-glare"), fits="phone"),
    Category(
        "laptop sleeve",
        "mobile",
        32,
        35,
        ("sleeve", "laptop sleeve"),
        ("zipped", "felt", "padded"),
        fits="laptop",
    ),
    Category("laptop hub", "mobile", 28, 95, ("hub", "USB hub"), ("6-port", "9-port", "with HDMI"), fits="laptop"),
)
DEPARTMENT_OF = {c.name: DEPARTMENTS.index(c.department) for c in CATEGORIES}

# Words that tell two otherwise equal titles apart; only catalogues far larger than the default need them.
COLOURS = ("black", "white", "navy", "olive", "rust", "sand", "plum", "teal", "cream", "coral")

# -- queries ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Query:
    """A text shoppers type. It asks for some categories (or a brand), perhaps `wants` further values.

    `weight` is its relative frequency, which depends neither on the shopper nor on the season.
    """

    text: str
    weight: float
    categories: tuple[str, ...] = ()
    brand: str | None = None
    wants: dict[str, str] = field(default_factory=dict)


_CLOTHES = ("jacket", "shoes", "trousers", "shirt", "hat")
_AMBIGUOUS = (
    # season and profile decide
    Query("jacket", 28, ("jacket",)), Query("coat", 10, ("jacket",)), Query("shoes", 30, ("shoes",)),
    Query("trousers", 18, ("trousers",)), Query("pants", 8, ("trousers",)), Query("shirt", 20, ("shirt",)),
    Query("hat", 18, ("hat",)), Query("something to wear", 6, _CLOTHES),
    Query("something light", 8, ("shirt", "trousers")), Query("for the weekend", 6, ("shoes", "backpack")),
    Query("sleeping bag", 12, ("sleeping bag",)), Query("blanket", 12, ("blanket",)),
    Query("cosy", 8, ("blanket", "jacket")),
    Query("warm", 10, ("jacket", "hat", "blanket", "heater"), wants={"weather": "cold weather"}),
    Query("cool", 8, ("fan", "shirt"), wants={"weather": "hot weather"}),
    Query("for this weather", 18, ("jacket", "shirt", "fan", "heater")),
    Query("climate", 10, ("fan", "heater", "blanket")),
    # the owned device decides, with the hobby where several kinds of device are possible
    Query("case", 28, ("phone case", "console case")), Query("cover", 16, ("phone case",)),
    Query("charger", 22, ("charger", "charging dock")), Query("dock", 10, ("charging dock", "laptop hub")),
    Query("protection", 12, ("screen protector", "phone case")), Query("screen protector", 10, ("screen protector",)),
    Query("sleeve", 18, ("laptop sleeve",)), Query("hub", 16, ("laptop hub",)),
    Query("controller", 16, ("controller",)),
    Query("for my phone", 8, ("phone case", "charger")), Query("for my laptop", 10, ("laptop sleeve", "laptop hub")),
    Query("for my console", 8, ("controller", "charging dock")),
    # the hobby decides
    Query("pro gear", 24, ("tent", "graphics card", "coffee machine", "camera")),
    Query("upgrade", 12, ("backpack", "monitor", "coffee machine", "camera")),
    Query("starter kit", 12, ("tent", "gaming mouse", "frying pan", "tripod")),
    Query("gift", 14, ("hat", "headset", "kettle", "earbuds")), Query("light", 8, ("lamp", "shirt")),
    Query("bag", 8, ("backpack", "laptop sleeve")), Query("stand", 6, ("tripod", "laptop hub")),
    Query("sound", 10, ("headset", "earbuds")),
    *(Query(INITIALS[b], 6, brand=b) for b in BRANDS),
)  # fmt: skip
_SPECIFIC = (
    ("gaming mouse", "keyboard", "headset", "monitor", "graphics card", "tent", "backpack"),
    ("coffee machine", "kettle", "lamp", "fan", "heater", "chef knife", "frying pan", "camera", "tripod", "earbuds"),
)


def _queries() -> dict[str, Query]:
    rows = list(_AMBIGUOUS)
    rows += [Query(name, 6, (name,)) for group in _SPECIFIC for name in group]
    for c in CATEGORIES:  # longer ones state a taste or the audience outright; many are too rare to be in training
        rows += [Query(f"{INITIALS[b]} {c.name}", 0.35, (c.name,), wants={"brand": b}) for b in BRANDS]
        rows += [Query(f"{s} {c.name}", 0.35, (c.name,), wants={"style": s}) for s in STYLES]
        rows += [Query(f"{r} {c.name}", 0.35, (c.name,), wants={"range": r}) for r in ("budget", "premium")]
        rows += [
            Query(f"{INITIALS[b]} {s} {c.name}", 0.04, (c.name,), wants={"brand": b, "style": s})
            for b in BRANDS for s in STYLES
        ]  # fmt: skip
        if c.audience:
            rows += [Query(f"{c.name} {a}", 0.8, (c.name,), wants={"audience": a}) for a in AUDIENCES]
    return {q.text: q for q in rows}


QUERIES = _queries()
ENTRANCES = ("search bar", "home page", "category page", "campaign mail")  # seen by the model, without influence
