//! The words of the generated texts, with the forms that agreement asks for.

/// A noun that can be counted.
pub(super) struct Noun {
    pub(super) one: &'static str,
    pub(super) many: &'static str,
}

/// A verb: base form, past tense, form with -ing.
pub(super) struct Verb {
    pub(super) base: &'static str,
    pub(super) past: &'static str,
    pub(super) going: &'static str,
}

const fn noun(one: &'static str, many: &'static str) -> Noun {
    Noun { one, many }
}

const fn verb(base: &'static str, past: &'static str, going: &'static str) -> Verb {
    Verb { base, past, going }
}

/// Names of women and girls.
pub(super) const HER: &[&str] =
    &["Anna", "Clara", "Edith", "Fatima", "Greta", "Ines", "Judith", "Marta", "Nora", "Olga", "Ruth", "Yuki"];

/// Names of men and boys.
pub(super) const HIM: &[&str] = &[
    "Adam", "Boris", "Carlos", "David", "Emil", "Felix", "Hugo", "Ivan", "Jonas", "Omar", "Peter", "Viktor",
];

/// People by what they do.
pub(super) const PEOPLE: &[Noun] = &[
    noun("baker", "bakers"),
    noun("captain", "captains"),
    noun("child", "children"),
    noun("doctor", "doctors"),
    noun("engineer", "engineers"),
    noun("farmer", "farmers"),
    noun("fisherman", "fishermen"),
    noun("gardener", "gardeners"),
    noun("guest", "guests"),
    noun("lady", "ladies"),
    noun("miller", "millers"),
    noun("neighbour", "neighbours"),
    noun("officer", "officers"),
    noun("painter", "painters"),
    noun("sailor", "sailors"),
    noun("singer", "singers"),
    noun("soldier", "soldiers"),
    noun("stranger", "strangers"),
    noun("student", "students"),
    noun("teacher", "teachers"),
    noun("thief", "thieves"),
    noun("traveller", "travellers"),
    noun("uncle", "uncles"),
    noun("woman", "women"),
];

/// Animals.
pub(super) const ANIMALS: &[Noun] = &[
    noun("cat", "cats"),
    noun("crow", "crows"),
    noun("dog", "dogs"),
    noun("donkey", "donkeys"),
    noun("fox", "foxes"),
    noun("goose", "geese"),
    noun("horse", "horses"),
    noun("mouse", "mice"),
    noun("owl", "owls"),
    noun("sheep", "sheep"),
    noun("wolf", "wolves"),
];

/// Things that can be carried, lost and found.
pub(super) const THINGS: &[Noun] = &[
    noun("apple", "apples"),
    noun("basket", "baskets"),
    noun("bell", "bells"),
    noun("book", "books"),
    noun("box", "boxes"),
    noun("candle", "candles"),
    noun("clock", "clocks"),
    noun("coat", "coats"),
    noun("coin", "coins"),
    noun("cup", "cups"),
    noun("envelope", "envelopes"),
    noun("hammer", "hammers"),
    noun("key", "keys"),
    noun("knife", "knives"),
    noun("lamp", "lamps"),
    noun("letter", "letters"),
    noun("loaf", "loaves"),
    noun("map", "maps"),
    noun("orange", "oranges"),
    noun("picture", "pictures"),
    noun("ring", "rings"),
    noun("rope", "ropes"),
    noun("umbrella", "umbrellas"),
    noun("violin", "violins"),
];

/// Places.
pub(super) const PLACES: &[Noun] = &[
    noun("bridge", "bridges"),
    noun("castle", "castles"),
    noun("church", "churches"),
    noun("city", "cities"),
    noun("field", "fields"),
    noun("forest", "forests"),
    noun("garden", "gardens"),
    noun("harbour", "harbours"),
    noun("house", "houses"),
    noun("inn", "inns"),
    noun("island", "islands"),
    noun("kitchen", "kitchens"),
    noun("library", "libraries"),
    noun("market", "markets"),
    noun("mill", "mills"),
    noun("mountain", "mountains"),
    noun("river", "rivers"),
    noun("school", "schools"),
    noun("station", "stations"),
    noun("street", "streets"),
    noun("tower", "towers"),
    noun("valley", "valleys"),
    noun("village", "villages"),
];

/// What is done to a thing.
pub(super) const HANDLING: &[Verb] = &[
    verb("admire", "admired", "admiring"),
    verb("borrow", "borrowed", "borrowing"),
    verb("break", "broke", "breaking"),
    verb("bring", "brought", "bringing"),
    verb("buy", "bought", "buying"),
    verb("carry", "carried", "carrying"),
    verb("choose", "chose", "choosing"),
    verb("draw", "drew", "drawing"),
    verb("drop", "dropped", "dropping"),
    verb("find", "found", "finding"),
    verb("forget", "forgot", "forgetting"),
    verb("hide", "hid", "hiding"),
    verb("keep", "kept", "keeping"),
    verb("lose", "lost", "losing"),
    verb("need", "needed", "needing"),
    verb("repair", "repaired", "repairing"),
    verb("sell", "sold", "selling"),
    verb("steal", "stole", "stealing"),
    verb("wash", "washed", "washing"),
    verb("watch", "watched", "watching"),
];

/// What is done to a person or an animal.
pub(super) const MEETING: &[Verb] = &[
    verb("answer", "answered", "answering"),
    verb("call", "called", "calling"),
    verb("follow", "followed", "following"),
    verb("greet", "greeted", "greeting"),
    verb("hear", "heard", "hearing"),
    verb("help", "helped", "helping"),
    verb("know", "knew", "knowing"),
    verb("like", "liked", "liking"),
    verb("meet", "met", "meeting"),
    verb("see", "saw", "seeing"),
    verb("teach", "taught", "teaching"),
    verb("trust", "trusted", "trusting"),
    verb("visit", "visited", "visiting"),
];

/// What needs no object.
pub(super) const BEING: &[Verb] = &[
    verb("arrive", "arrived", "arriving"),
    verb("cry", "cried", "crying"),
    verb("dance", "danced", "dancing"),
    verb("fall", "fell", "falling"),
    verb("laugh", "laughed", "laughing"),
    verb("rest", "rested", "resting"),
    verb("run", "ran", "running"),
    verb("sing", "sang", "singing"),
    verb("sit", "sat", "sitting"),
    verb("sleep", "slept", "sleeping"),
    verb("stand", "stood", "standing"),
    verb("stay", "stayed", "staying"),
    verb("swim", "swam", "swimming"),
    verb("wait", "waited", "waiting"),
    verb("walk", "walked", "walking"),
    verb("work", "worked", "working"),
];

/// Adjectives of people and animals.
pub(super) const TEMPERS: &[&str] = &[
    "angry", "brave", "careful", "clever", "cheerful", "curious", "friendly", "gentle", "honest", "hungry",
    "lazy", "old", "poor", "proud", "quiet", "shy", "stubborn", "tall", "tired", "young",
];

/// Adjectives of things.
pub(super) const QUALITIES: &[&str] = &[
    "ancient",
    "beautiful",
    "blue",
    "broken",
    "cheap",
    "dusty",
    "empty",
    "enormous",
    "golden",
    "green",
    "heavy",
    "little",
    "narrow",
    "new",
    "old",
    "plain",
    "red",
    "rusty",
    "small",
    "strange",
    "useful",
    "wooden",
];

/// Adjectives of places.
pub(super) const SIGHTS: &[&str] = &[
    "bright", "busy", "cold", "dark", "deserted", "famous", "foggy", "green", "high", "lonely", "noisy",
    "old", "peaceful", "quiet", "small", "sunny", "windy",
];

/// Adverbs of manner.
pub(super) const MANNERS: &[&str] = &[
    "bravely",
    "carefully",
    "eagerly",
    "happily",
    "in silence",
    "loudly",
    "once more",
    "patiently",
    "quickly",
    "quietly",
    "slowly",
    "suddenly",
    "together",
    "too late",
    "with great care",
    "without a word",
];

/// Openings that go with the past tense.
pub(super) const THEN: &[&str] = &[
    "A week later",
    "After the storm",
    "At midnight",
    "Before dawn",
    "In the autumn",
    "In the end",
    "Last winter",
    "Long ago",
    "On Monday",
    "On the third day",
    "One evening",
    "That night",
    "The next morning",
    "Years before",
    "Yesterday",
];

/// Openings that go with the present tense.
pub(super) const NOW: &[&str] = &[
    "At noon",
    "Every day",
    "Every Sunday",
    "From time to time",
    "In spring",
    "In the evening",
    "Nowadays",
    "On rainy days",
    "These days",
    "Twice a year",
    "Usually",
];

/// Prepositions of place.
pub(super) const WHERE: &[&str] = &[
    "at",
    "behind",
    "beside",
    "close to",
    "far from",
    "in front of",
    "inside",
    "near",
    "not far from",
    "outside",
];

/// Weather, in the past tense.
pub(super) const WEATHER: &[&str] = &[
    "a cold wind blew from the north",
    "it began to rain",
    "it was getting dark",
    "snow was falling",
    "the clouds were low and grey",
    "the fog had lifted",
    "the moon rose over the hills",
    "the sky was clear",
    "the sun was shining",
    "there was thunder in the distance",
];

/// Verbs of speech, in the past tense.
pub(super) const SPEECH: &[&str] =
    &["answered", "asked", "cried", "explained", "replied", "said", "shouted", "whispered"];

/// Numbers from two on.
pub(super) const NUMBERS: &[&str] =
    &["two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "twenty"];
