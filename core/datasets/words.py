"""The words of the invented bookshop: shelves with themes, and what titles, blurbs and readers are made of. No real works."""

SHELVES: dict[str, dict[str, tuple[str, ...]]] = {
    "Sea Stories": {
        "Lighthouses": ("lighthouse", "lamp room", "fog bell", "keeper's log", "headland", "storm lantern"),
        "Whalers": ("whaling ship", "harpoon", "cabin boy", "ice floe", "ship's cook", "northern passage"),
        "Harbours": ("harbour", "ferry", "net mender", "tide table", "quay", "fishing boat"),
        "Mutiny": ("mutiny", "captain's chest", "boatswain", "marooned sailor", "longboat", "sealed order"),
        "Islands": ("island", "reef", "castaway", "lagoon", "message in a bottle", "chart"),
    },
    "Mystery": {
        "Village Crimes": ("vicarage", "missing parcel", "church fete", "poisoned tea", "constable", "garden wall"),
        "Locked Rooms": ("locked room", "broken window", "last guest", "alibi", "house party", "hidden door"),
        "Art Thefts": ("stolen portrait", "forger", "auction", "empty frame", "curator", "false signature"),
        "Cold Cases": ("cold case", "old photograph", "lake", "unsigned confession", "retired inspector", "newspaper cutting"),
        "Night Trains": ("sleeping car", "night train", "second ticket", "border station", "conductor", "suitcase"),
    },
    "Science Fiction": {
        "Generation Ships": ("generation ship", "airlock", "seed vault", "navigator", "cryogenic sleep", "distant star"),
        "Robots": ("robot", "android", "positronic mind", "repair shop", "machine child", "obedience circuit"),
        "Moon Colonies": ("moon colony", "dome", "oxygen tax", "crater", "lunar miner", "earthrise"),
        "First Contact": ("first contact", "alien signal", "radio telescope", "translator", "orbiting visitor", "linguist"),
        "Time Machines": ("time machine", "paradox", "yesterday", "chrononaut", "altered century", "loop"),
    },
    "Cookery": {
        "Bread": ("sourdough", "rye loaf", "flour", "oven", "crust", "yeast"),
        "Soups": ("broth", "soup pot", "dumpling", "lentil", "marrowbone", "ladle"),
        "Preserves": ("jam", "pickle jar", "quince", "marmalade", "chutney", "larder"),
        "Pastry": ("pastry", "custard", "puff dough", "tart", "choux", "rolling pin"),
        "Foraged Food": ("wild garlic", "chanterelle", "elderflower", "nettle", "rosehip", "seaweed"),
    },
    "Gardening": {
        "Roses": ("rose", "rambler", "thorn", "rose arch", "cutting", "old variety"),
        "Kitchen Gardens": ("vegetable bed", "bean row", "compost", "cold frame", "pumpkin", "allotment"),
        "Orchards": ("orchard", "apple tree", "grafting knife", "cider press", "blossom", "pear espalier"),
        "Beekeeping": ("beehive", "swarm", "honeycomb", "queen bee", "smoker", "clover honey"),
        "Moss and Fern": ("moss", "fern", "shade border", "stone trough", "damp corner", "spore"),
    },
    "Romance": {
        "Second Chances": ("second chance", "old sweetheart", "unsent letter", "reunion", "faded wedding dress", "promise"),
        "Rivals": ("rival", "wager", "feud", "reluctant truce", "rented flat", "sharp tongue"),
        "Country House": ("manor", "ballroom", "governess", "inheritance", "country dance", "engagement"),
        "Winter Love": ("snowed-in inn", "first kiss", "skating pond", "mistletoe", "shared blanket", "sleigh"),
        "Letters": ("love letter", "pen friend", "postmark", "secret admirer", "ribbon", "answered advertisement"),
    },
    "History": {
        "Salt Roads": ("salt road", "caravan", "toll gate", "mountain pass", "merchant guild", "mule train"),
        "Plague Years": ("plague", "quarantine", "physician", "parish register", "quack remedy", "pesthouse"),
        "Canals": ("canal", "lock keeper", "barge", "navvy", "towpath", "aqueduct"),
        "Printing": ("printing press", "broadsheet", "compositor", "banned pamphlet", "type foundry", "almanac"),
        "Queens": ("queen", "regent", "coronation", "dynasty", "court ledger", "treaty"),
    },
    "Fantasy": {
        "Dragons": ("dragon", "egg", "rider", "hoard", "scale", "burnt valley"),
        "Witches": ("witch", "familiar", "spell book", "cauldron", "coven", "hedge magic"),
        "Lost Kingdoms": ("throne", "exiled prince", "prophecy", "sunken city", "crown", "oath"),
        "Talking Beasts": ("talking fox", "badger council", "bear king", "owl messenger", "wolf pact", "enchanted wood"),
        "Magic Schools": ("academy of magic", "apprentice wizard", "forbidden library", "wand", "examination", "dormitory ghost"),
    },
    "Nature": {
        "Birds": ("curlew", "nest", "migration", "birdwatcher", "marsh", "dawn chorus"),
        "Rivers": ("river", "otter", "trout", "weir", "source", "flood meadow"),
        "Mountains": ("glacier", "summit", "ibex", "scree", "alpine hut", "rope"),
        "Insects": ("moth", "beetle", "dragonfly", "ant colony", "cricket", "collecting jar"),
        "Weather": ("cloud", "barometer", "thunderstorm", "hoarfrost", "rain gauge", "wind"),
    },
    "Music": {
        "Jazz": ("trumpet", "jazz cellar", "bandleader", "solo", "late set", "saxophone"),
        "Opera": ("soprano", "opera house", "prompter", "aria", "understudy", "curtain call"),
        "Folk Songs": ("fiddle", "ballad", "song collector", "ceilidh", "squeezebox", "lullaby"),
        "Instrument Makers": ("violin maker", "varnish", "spruce plank", "harpsichord", "bow hair", "workbench"),
        "Choirs": ("choir", "alto", "rehearsal", "hymn", "organ loft", "choirmaster"),
    },
    "Crafts": {
        "Clocks": ("clock", "escapement", "pendulum", "mainspring", "cuckoo", "watchmaker"),
        "Weaving": ("loom", "shuttle", "wool dye", "tapestry", "indigo", "weaver"),
        "Pottery": ("kiln", "glaze", "potter's wheel", "stoneware", "clay pit", "teapot"),
        "Woodwork": ("plane", "dovetail", "walnut chair", "joiner", "chisel", "spoon carver"),
        "Bookbinding": ("bookbinder", "marbled paper", "spine", "gold leaf", "stitched quire", "glue pot"),
    },
    "Travel": {
        "Deserts": ("desert", "oasis", "camel", "dune", "well", "sandstorm"),
        "Railways": ("branch line", "railway map", "signal box", "dining car", "station clock", "steam engine"),
        "Walking": ("long-distance path", "rucksack", "blister", "pilgrim inn", "boots", "waymark"),
        "Far North": ("sledge", "reindeer herder", "northern light", "fjord", "frozen sea", "hut"),
        "Old Cities": ("bazaar", "rooftop", "alley", "city gate", "caravanserai", "tea house"),
    },
}
"""{shelf: {theme: nouns}}: an item's category is "shelf|theme"."""

OPENERS: dict[str, tuple[str, ...]] = {
    "Sea Stories": ("A salt-stained tale of a {0} and a {1}.", "All hands on deck: a {0}, a {1} and a falling barometer."),
    "Mystery": (
        "A puzzle that begins with a {0} and ends with a {1}.",
        "Whodunit? Only the {0} and the {1} can tell the detective.",
    ),
    "Science Fiction": (
        "A thought experiment about a {0} and a {1} in deep space.",
        "The future arrives as a {0}, then as a {1}.",
    ),
    "Cookery": (
        "Recipes from the {0} to the {1}, tried in a small kitchen.",
        "A cook on the {0}, the {1} and patience.",
    ),
    "Gardening": (
        "A gardener's year, from the {0} to the {1}.",
        "What to prune and what to leave: the {0}, the {1} and good soil.",
    ),
    "Romance": ("Two hearts, one {0} and one {1}.", "They never meant to fall in love; then came a {0} and a {1}."),
    "History": ("A history of the {0} and the {1}, from the archives.", "How the {0} and the {1} changed an age."),
    "Fantasy": ("An epic of a {0} and a {1} in a realm of old magic.", "Where magic is law, a {0} must find a {1}."),
    "Nature": ("Field notes on the {0} and the {1}.", "A naturalist waits a year for the {0} and the {1}."),
    "Music": ("A life in music, told by a {0} and a {1}.", "For everyone who listens: the {0}, the {1} and the silence after."),
    "Crafts": (
        "A maker's handbook: from the {0} to the {1}, in steps.",
        "The patient craft of the {0} and the {1}, by hand.",
    ),
    "Travel": ("A journey by way of a {0} and a {1}.", "A traveller's notebook: one {0}, one {1} and no return ticket."),
}

MIDDLES = (
    "At its heart stands the {0} that nobody in {place} will speak of.",
    "The pages about the {0} alone are worth the price.",
    "Half of {place} has an opinion about the {0}.",
    "It all turns on the {0} and the {1}.",
    "With a long chapter on the {0}, and a short one on regret.",
    "Drawn from years among the {0} and the {1} of {place}.",
)

CLOSERS = (
    "Warm, slow and quietly funny.",
    "Readers write to us about the last page.",
    "A favourite of our morning customers.",
    "Better on the second reading.",
    "Illustrated by the author.",
    "Not to be begun late in the evening.",
    "Our copy is always on loan.",
    "First of a series of three.",
    "Short, dry and hard to forget.",
    "With an afterword that explains nothing.",
    "The bookseller's own copy has tea stains.",
    "A small book with a long echo.",
)

TITLES = (
    "The {noun} of {place}",
    "The {place} {noun}",
    "A {noun} for {name}",
    "{name} and the {noun}",
    "{name}'s {noun}",
    "The {adjective} {noun}",
    "The {adjective} {noun} of {place}",
    "Beyond the {noun}",
    "What the {noun} Knew",
    "The {number} {noun}",
    "From {place}, with a {noun}",
    "{place} and Its {noun}",
)

ADJECTIVES = (
    *("Quiet", "Borrowed", "Crooked", "Patient", "Forgotten", "Unlikely", "Small", "Stubborn", "Golden", "Winter", "Lost"),
    *("Second", "Honest", "Wandering", "Reluctant", "Painted", "Sleepless", "Curious", "Pale", "Everyday"),
)
NUMBERS = ("First", "Second", "Third", "Seventh", "Thirteenth", "Hundredth", "Last")
VOLUMES = ("Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten", "Eleven", "Twelve")
NAMES = (
    *("Odalie", "Bramwell", "Ysolde", "Tamsin", "Corvin", "Maren", "Elspeth", "Jory", "Philippa", "Anselm", "Wilhelmina"),
    *("Tobiah", "Sunniva", "Leopold", "Marguerite", "Ivo", "Henrike", "Caspian", "Dorothea", "Piet", "Rosalba", "Emeric"),
    *("Linnea", "Barnaby", "Oona", "Matthias", "Seraphine", "Hollis", "Agnieszka", "Quentin", "Thora", "Benedek"),
)
PLACE_STARTS = (
    *("Marrow", "Thistle", "Ost", "Pebble", "Kestrel", "Lower Hum", "Candle", "Bitter", "Wren", "Orla", "Fallow"),
    *("Grey", "Upper Tarn", "Dunmar", "Elder", "Copper", "Nether Wick", "Halla", "Quill", "Ember"),
)
PLACE_ENDS = ("field", "mere", "wick", "ness", "ford", "holm", "stead", "bridge", "combe", "haven", "moor", "gate")
OCCUPATIONS = (
    *("retired signalwoman", "night nurse", "piano tuner", "schoolteacher", "tram driver", "dentist", "student of law"),
    *("postman", "accountant", "stage carpenter", "translator", "vet", "baker's assistant", "surveyor", "pharmacist"),
    *("grandfather of five", "radio announcer", "tailor", "ferry captain", "museum guard", "physics student", "florist"),
)
READERS = (
    "{name}, {occupation} in {place}. Reads mostly {mains}; now and then something about {side}.",
    "{name}, {occupation} from {place}. Loves {mains}, and has a weakness for {side}.",
    "{name} of {place}, {occupation}. Usually found among {mains}; rarely, but gladly, at {side}.",
    "{name}, {occupation}, {place}. Reads {mains} on weekdays, {side} on holidays.",
)
"""`mains` are shelves, `side` is a theme with its shelf in brackets."""
