"""Writes the bundled texts: passages of eight kinds, mixed in random order, with their labels kept aside.

    python generate.py              writes ../calibration.txt, ../test.txt, their labels, and train.txt

Standard library only, and the same bytes on every run: each text has its own seed, and no passage of
calibration.txt or test.txt occurs in train.txt or in the other one.
"""

import random
import re
from pathlib import Path

HERE = Path(__file__).resolve().parent
TEXTS = (  # file, seed, bytes wanted, labels aside?
    (HERE.parent / "test.txt", 20, 120_000, True),
    (HERE.parent / "calibration.txt", 21, 250_000, True),
    (HERE / "train.txt", 22, 16_000_000, False),
)


def words(text):
    """A vocabulary: entries separated by slashes or line ends."""
    return [entry.strip() for entry in re.split(r"[/\n]", text) if entry.strip()]


W = {name: words(text) for name, text in {
    # --- people, places, things: shared by several kinds
    "she": """Anna/Mara/Ruth/Clara/Ida/Nora/Lena/Vera/Elsa/Hanna/Greta/Olga/Rosa/Tilda/Maud/Zoe/Agnes/Bella/Cora/Dora
        Edith/Fanny/Gilda/Helga/Irma/Judith/Katrin/Lydia/Miriam/Nelly/Paula/Rahel/Sonja/Thea/Ursula/Wanda/Yvonne
        Amelia/Beatrix/Camilla""",
    "he": """Tom/Peter/Jonas/Karl/Oskar/Felix/Ivan/Hugo/Emil/Leo/Otto/Paul/Simon/Viktor/Max/Ben/Adam/Bruno/Caspar/David
        Erik/Fabian/Georg/Henrik/Igor/Jakob/Klaus/Ludwig/Martin/Nils/Patrick/Quentin/Robert/Stefan/Theo/Ulrich
        Walter/Arthur/Boris/Conrad""",
    "px": """Alder/Kestrel/North/Stone/Ash/Green/Wren/Upper/Red/Winter/Old/East/Salt/River/Long/Black/Fern/Glen/Hazel
        Iron/Lamb/Maple/Oak/Raven/Silver/Thorn/West/White/Birch/Copper/Drum/Elm/Falcon/Heron""",
    "py": """Bay/Point/Field/Harbour/Bridge/Valley/Cape/Lake/Hill/Pass/Mill/Haven/Island/Bend/Cross/Down/Edge/Ferry/Gate
        Heath/Junction/Landing/Moor/Park/Quay/Rock/Sound/Spring/Wood/Creek""",
    "pz": "ton/ford/ham/bury/wick/stead/mouth/ley/by/worth",
    "place": "{px} {py}/{px} {py}/{px} {py}/{px}{pz}",
    "day": "Monday/Tuesday/Wednesday/Thursday/Friday/Saturday/Sunday",
    "month": "January/February/March/April/May/June/July/August/September/October/November/December",
    "part": "morning/afternoon/evening/night",
    "colour": """red/blue/green/yellow/black/white/grey/brown/silver/golden/purple/pink/orange/violet/crimson/pale/scarlet
        ivory""",
    "animal": """fox/dog/cat/horse/owl/hare/goat/bear/crow/mouse/wolf/deer/goose/otter/badger/donkey/eagle/frog/hedgehog/lynx
        mole/pig/rabbit/raven/snake/spider/swan/toad/weasel/dragon/beetle/heron""",
    "adj": """ancient/bitter/blind/bright/broken/clumsy/cold/crooked/cruel/deep/distant/dull/dusty/empty/faded/fallen/fine
        foreign/forgotten/frozen/gentle/giant/great/hard/heavy/hidden/hollow/honest/hungry/idle/jolly/lame/lazy/long
        lost/magic/mighty/modest/narrow/noble/odd/painted/perfect/plain/precious/ragged/rare/rich/rough/rusty/sacred
        secret/shining/silent/simple/slender/smooth/soft/sour/stolen/strange/sweet/tame/thin/tiny/torn/ugly/useless
        vast/warm/wicked/wide/wild/wise/wooden/wounded/{colour}""",
    "obj2": """anchor/arrow/axe/barrel/basket/bell/blanket/boat/bone/book/bottle/bowl/box/bread/brush/bucket/button/candle
        cart/chain/chair/chest/cloak/clock/coat/coin/cradle/crown/cup/drum/egg/feather/flute/fork/glove/hammer/harp
        hat/horn/jewel/jug/kettle/key/kite/ladder/lamp/lantern/letter/lock/map/mask/mirror/needle/net/oar/painting
        pearl/pipe/plough/purse/ribbon/ring/rope/saddle/sack/seed/shell/shield/shoe/spade/spoon/stick/stone/sword
        table/thread/torch/trumpet/umbrella/vase/violin/wheel/whistle""",
    "small": "a {obj2}/a {adj} {obj2}/the {obj2}",
    "count": "two/three/four/five/six/seven/eight/nine/ten/twelve",

    # --- stories
    "old": "{adj}/old/young/tired/clever/quiet/lonely/brave/poor/proud/kind/{adj}",
    "job": """baker/fisherman/miller/tailor/shepherd/smith/widow/clockmaker/carpenter/soldier/gardener/sailor/teacher
        ferryman/barber/beggar/butcher/captain/cook/dancer/doctor/duke/farmer/fiddler/giant/guard/hermit/hunter
        judge/juggler/king/knight/merchant/monk/nurse/painter/pedlar/pirate/poet/potter/priest/prince/queen/robber
        servant/shoemaker/singer/thief/weaver/witch""",
    "land": """forest/village/valley/mountain/harbour/castle/island/market/meadow/tower/river/mill/garden/bridge/cave/field
        abbey/barn/beach/canyon/chapel/cliff/cottage/desert/farm/fountain/gate/graveyard/hill/inn/kitchen/lake
        library/lighthouse/marsh/mine/orchard/palace/pond/quarry/road/school/shore/stable/swamp/temple/tavern
        waterfall/well/windmill""",
    "mood": """afraid/happy/angry/sorry/glad/worried/ashamed/surprised/certain/silent/weary/hopeful/amazed/bored/calm
        content/curious/delighted/foolish/furious/grateful/hungry/jealous/nervous/pleased/puzzled/restless/sad
        thirsty/tired""",
    "when": """one cold morning/one summer night/early in spring/after the long winter/before the sun rose
        when the snow had melted/late one evening/on the shortest day of the year/during the great storm/many years ago""",
    "went": """walked/ran/rode/climbed/wandered/crept/hurried/travelled/fled/limped/marched/raced/returned/rolled/sailed
        sneaked/strolled/stumbled/swam/trudged""",
    "way": """slowly/without a word/with a heavy heart/in the dark/alone/all night/barefoot/as fast as the wind
        singing softly/with great care/on a {adj} {animal}/with a {adj} {obj2}/like a {animal}/in a {adj} {obj2}
        to the {land}/past the {adj} {land}/through the {land}/before dawn/with {count} {adj} friends
        carrying a {obj2}/in search of a {obj2}""",
    "found": """found/lost/hid/stole/carried/buried/mended/sold/dropped/kept/remembered/followed/admired/borrowed/broke
        burned/caught/cleaned/counted/dragged/drew/forgot/guarded/hated/lifted/loved/missed/opened/painted/polished
        pushed/refused/repaired/showed/threw/touched/traded/washed/watched/wrapped""",
    "where": """under a {adj} stone/behind the {adj} {land}/beside the {land}/at the edge of the {land}
        inside a {adj} {obj2}/near the old {land}/across the {land}/beneath the {land}
        in the middle of the {adj} {land}/in {place}/on the road to {place}/between the {land} and the {land}
        under the {obj2}/above the {adj} {land}""",
    "thing": "{obj2}",
    "quality": "{adj}",
    "promise": """never to return/to tell no one/to wait until winter/to come back before dark/to share the {obj2}
        to guard the {adj} {land}/to give back the {thing}/to look after the {animal}/to marry the {job}
        to forget the {adj} {job}/to build a {adj} {land}/to bring {count} {adj} eggs/to sing for the {animal}
        to fight the {adj} {animal}""",
    "moral": """From that day on nobody in the {land} was {mood} again/And so the {thing} stayed {where} for a hundred years
        That night the whole {land} slept in peace/Nobody ever saw the {animal} again/And the {land} was quiet once more
        Some say the {thing} is still there {where}/In the end even the {animal} was {mood}""",

    # --- weather
    "sky": """clear/cloudy/overcast/hazy/partly cloudy/mostly sunny/foggy/changeable/bright/dull/grey/humid/mild/misty
        settled/stormy/sunny/unsettled/wet/chilly""",
    "amount": "light/heavy/scattered/patchy/persistent/occasional/brief/intermittent/widespread/steady/local/isolated",
    "falls": """{amount} rain/{amount} rain/{amount} snow/{amount} sleet/{amount} drizzle/{amount} showers/thunderstorms
        {amount} hail/freezing rain/freezing fog/{amount} fog/dry weather/{amount} mist/{amount} frost""",
    "compass": "north/south/east/west/northeast/northwest/southeast/southwest",
    "area": """coast/hills/interior/lowlands/highlands/valleys/islands/plains/northern districts/southern districts/lakes
        mountains/bay/capital/delta/eastern shore/estuary/fens/forests/moors/peninsula/suburbs/western isles
        {place} area/upper {px} valley/{place} basin""",
    "system": """A {wind} cold front/A {wind} warm front/A deep low/A ridge of high pressure/A band of cloud/A shallow trough
        An area of low pressure/Humid air/An occluded front/Cold air/Warm air/A new storm
        The remains of storm {person}/A sea breeze/Dry air""",
    "moves": """moves across/approaches/weakens over/brings {falls} to/stalls near/passes over/spreads cloud over
        clears from/deepens over/drifts towards/leaves/lingers over/returns to/pushes {falls} into/reaches""",
    "trend": "falling slowly/rising slowly/steady/falling quickly/rising quickly",
    "seastate": "calm/smooth/slight/moderate/rough/very rough",
    "wind": "light/moderate/fresh/strong/gusty/variable/gale force/biting/gentle/icy/steady/squally",

    # --- recipes
    "dish": """soup/stew/pie/salad/bread/cake/curry/omelette/pudding/risotto/casserole/tart/broth/chowder/crumble/dumplings
        fritters/gratin/hotpot/lasagne/muffins/pancakes/pasties/quiche/ragout/rolls/sauce/souffle/stir-fry/terrine""",
    "cut": """chopped/sliced/diced/grated/peeled/crushed/minced/roasted/washed/halved/quartered/mashed/shredded/trimmed
        blanched/finely sliced/roughly chopped/drained""",
    "hot": "large/heavy/deep/small/buttered/hot/clean/shallow/covered/warm/greased/non-stick/medium/ovenproof",
    "pot": """a {hot} pot/a {hot} pan/a {hot} bowl/a {hot} saucepan/a {hot} dish/a frying pan/a mixing bowl/a {hot} tin
        a wok/a {hot} tray/a {hot} casserole""",
    "state": "fresh/frozen/ripe/dried/smoked/cold/best/leftover/cooked/organic/{colour}",
    "cook": "Fry/Brown/Toast/Soften/Warm/Boil/Steam/Roast/Simmer/Stew/Poach/Grill/Saute/Braise/Char/Blanch",
    "join": """Stir in/Add/Fold in/Mix in/Scatter over/Beat in/Whisk in/Layer with/Combine with/Cover with/Top with
        Blend in""",
    "until": """golden/soft/the liquid is absorbed/the edges are crisp/thick and smooth/tender/lightly browned
        the sauce thickens/it begins to bubble/just cooked through/firm to the touch/fragrant/well coated
        reduced by half/a skin forms/it pulls away from the sides/creamy/the top is set/evenly coloured/crisp
        nearly dry""",
    "serve": """with fresh bread/with a green salad/hot/cold/warm/at once/with boiled rice/with a spoonful of cream
        with lemon wedges/in small bowls/on toast/with mashed potatoes/with a {cut} tomato/the next day
        straight from the pan/with melted butter/on {hot} plates/sprinkled with parsley/with a glass of cider
        for lunch/with pickles""",

    # --- lists
    "size": """small/large/spare/new/old/clean/empty/folding/warm/strong/light/plastic/wooden/waterproof/{colour}/{adj}
        cheap/cotton/leather/metal/paper/rubber/thick/woollen/short/used/second-hand/steel""",
    "unit": """boxes of/bags of/packs of/bottles of/tins of/jars of/rolls of/crates of/cartons of/cases of/kilos of
        litres of/pieces of/sacks of/tubes of/trays of""",

    # --- legal
    "party": """Tenant/Landlord/Buyer/Seller/Licensee/Licensor/Contractor/Client/Employer/Employee/Borrower/Lender/Supplier
        Agent/Assignee/Bank/Carrier/Consultant/Creditor/Customer/Debtor/Distributor/Franchisee/Guarantor/Insurer
        Investor/Lessee/Manufacturer/Operator/Partner/Principal/Publisher/Shareholder/Trustee""",
    "doc": """Agreement/Contract/Lease/Licence/Schedule/Policy/Deed/Charter/Mandate/Order/Guarantee/Annex/Warranty
        Settlement/Protocol""",
    "lverb": """assign/disclose/transfer/terminate/withhold/amend/use/inspect/suspend/retain/audit/accept/acquire/alter
        approve/cancel/charge/copy/destroy/distribute/enforce/exercise/extend/modify/occupy/pledge/publish/recover
        reduce/refuse/reject/release/renew/reproduce/sell/set off/store/sublet/waive/withdraw""",
    "lnoun": """rights/information/property/payment/terms/trade marks/premises/services/deposit/records/accounts/assets
        benefits/charges/consent/costs/damages/data/debt/documents/drawings/equipment/fees/funds/goods/insurance
        interest/inventions/invoices/keys/know-how/liability/licence fees/machinery/materials/notice/obligations
        patents/permits/plans/policies/profits/proceeds/receipts/rent/reports/royalties/securities/shares/software
        stock/sums due/taxes/title/vehicles/waste/works""",
    "ladj": """confidential/relevant/outstanding/remaining/said/personal/accurate/additional/agreed/annual/applicable
        commercial/current/defective/disputed/electronic/excess/existing/external/financial/future/initial
        intellectual/joint/leased/monthly/original/overdue/prior/provisional/reasonable/secured/statutory
        third-party/unpaid/written""",
    "right": """{lverb} the {lnoun}/{lverb} any {ladj} {lnoun}/{lverb} the {ladj} {lnoun}/{lverb} or {lverb} the {lnoun}
        terminate this {doc}/engage a third party/claim compensation""",
    "dverb": """pay/keep/maintain/return/deliver/provide/protect/repair/insure/submit/prepare/review/secure/supply/file
        register/verify/preserve/replace/report/settle/remove/obtain/disclose/collect""",
    "duty": """{dverb} the {ladj} {lnoun}/{dverb} all {lnoun}/{dverb} and {dverb} the {lnoun}
        {dverb} the {lnoun} of the {party}/indemnify the {party}/comply with applicable law/give written notice
        bear its own costs""",
    "unless": """without the prior written consent of the {party}/except as required by law
        unless otherwise agreed in writing/provided that no default has occurred
        subject to the provisions of Section {n9}/in accordance with Schedule {n9}/to the extent permitted by law
        save in the case of {event}/notwithstanding any prior {doc}/until the {lnoun} have been received
        at the expense of the {party}/before {day} {n9} {month}/as set out in Annex {n9}
        after the {ladj} {lnoun} have expired""",
    "event": """breach of this {doc}/insolvency/a material default/force majeure/a change of control/late payment
        wilful misconduct/termination for cause/loss of the {ladj} {lnoun}/failure to {dverb} the {lnoun}
        gross negligence/bankruptcy/fraud/delay/death/war/fire/theft of the {lnoun}/damage to the {lnoun}""",
    "law": "arbitration/the courts of {place}/the laws of {place}/mediation/the decision of an independent expert",
    "n9": "1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/18/19/20/21/22/23/24/25/26/27/28",
}.items()}

PACK = words("""socks/shirts/towels/candles/matches/batteries/maps/pencils/notebooks/gloves/blankets/ropes/tents/cups/plates/spoons
    boots/hats/scarves/pillows/lamps/buckets/brushes/nails/screws/hammers/envelopes/stamps/scissors/umbrellas/bandages/needles
    anchors/axes/baskets/bells/belts/books/bowls/boxes/buttons/cameras/cards/chains/chairs/coats/combs/curtains/erasers/files
    flags/forks/funnels/glasses/hooks/jackets/kettles/keys/knives/ladders/lanterns/locks/magnets/mirrors/mugs/nets/pans/pegs
    pins/pipes/pots/razors/rulers/saws/shovels/sponges/stoves/torches/trousers/tubes/whistles/wrenches/zips""")
STORE = words("""rice/flour/sugar/coffee/tea/beans/soap/paint/honey/pepper/olives/vinegar/milk/biscuits/raisins/oats/paper/string/oil/jam
    tape/glue/salt/juice/almonds/bleach/butter/candles/cement/charcoal/cheese/chocolate/cider/cocoa/cotton/cream/dates/detergent/figs
    grapes/gravel/ink/lentils/mustard/noodles/nuts/peas/pickles/plaster/prunes/salsa/sand/sauce/seeds/shampoo/spinach/starch/syrup
    varnish/wax/wine/wire/wool/yeast""")
TASKS = ["call the {who}", "clean the {room}", "repair the {fix}", "write to {person}", "pay the {bill}", "water the {plant}",
         "visit {person}", "buy {colour} paint", "book the {trip}", "wash the {fix}", "return the {fix} to {person}",
         "measure the {room}", "cancel the {trip}", "ask {person} about the {bill}"]
W |= {name: words(text) for name, text in {
    "who": """dentist/plumber/bank/school/landlord/doctor/electrician/library/garage/insurance office/{job}/{job}
        neighbours/town hall/post office/tailor""",
    "room": """kitchen/bathroom/cellar/attic/garage/balcony/hallway/windows/oven/stairs/carpet/cupboard/fridge/gutters/shed
        study/terrace/workshop""",
    "fix": """bicycle/roof/fence/radio/door/lamp/chair/clock/gate/ladder/car/piano/{obj2}/{obj2}/{adj} {obj2}/camera/sofa
        tap/telephone/heater""",
    "bill": "rent/water bill/electricity bill/tax/phone bill/invoice/membership fee",
    "plant": "roses/tomatoes/herbs/garden/lemon tree/ferns",
    "trip": "train tickets/hotel/ferry/flight/table for {count}/taxi",
}.items()}

FOODS = {  # ingredient: how it is measured
    "g": words("""flour/butter/sugar/rice/cheese/mushrooms/spinach/lentils/beans/ham/bacon/beef/pasta/oats/peas/chicken/salmon/pumpkin/barley/cabbage/cauliflower/celery/
        chickpeas/cod/couscous/duck/fennel/kale/lamb/mackerel/noodles/parsnips/pork/prawns/quinoa/sausages/semolina/shrimp/tofu/trout/tuna/turkey/veal"""),
    "ml": words("milk/water/cream/stock/olive oil/white wine/coconut milk/apple juice/yoghurt/beer/buttermilk/cider/orange juice/red wine/sour cream/vinegar/soy sauce/sherry"),
    "": words("eggs/onions/carrots/potatoes/tomatoes/apples/lemons/leeks/cloves of garlic/peppers/pears/courgettes/apricots/aubergines/beetroots/chestnuts/cucumbers/figs/limes/oranges/peaches/plums/radishes/shallots/turnips"),
    "tsp": words("salt/pepper/cinnamon/cumin/paprika/ginger/honey/mustard/thyme/nutmeg/vanilla/chilli/baking powder/allspice/basil/cardamom/cloves/coriander/dill/mint/oregano/parsley/rosemary/saffron/sage/sumac/tarragon/turmeric"),
}

SLOT = re.compile(r"\{(\^?)(?:(\w+)=)?(\w+)\}")


class Writer:
    """Fills templates. `{noun}` picks from a vocabulary, `{x=noun}` picks and keeps, `{x}` repeats, `{^x}` capitalises."""

    def __init__(self, rng):
        self.rng, self.kept = rng, {}

    def pick(self, items):
        return items[self.rng.randrange(len(items))]

    def some(self, items, low, high):
        items = list(items)
        self.rng.shuffle(items)
        return items[:self.rng.randint(low, high)]

    def n(self, low, high):
        return self.rng.randint(low, high)

    def chance(self, p):
        return self.rng.random() < p

    def fill(self, template):
        def slot(match):
            upper, name, key = match.groups()
            if key in self.kept and not name:
                text = self.kept[key]
            elif key == "person":
                text = self.pick(W["she"] if self.chance(0.5) else W["he"])
            else:
                text = self.fill(self.pick(W[key]))
            if name:
                self.kept[name] = text
            return text[0].upper() + text[1:] if upper else text
        return SLOT.sub(slot, template)

    def say(self, *templates):
        return self.fill(self.pick(templates))


def an(text):
    return re.sub(r"\b([Aa]) (?=honest|(?!use|uni|one)[aeiou])", r"\1n ", text)


# --- the eight kinds. Each returns one passage, with no blank line in it.

def arithmetic(w):
    def sum_line():
        op = w.pick("+-+-*/")
        if op == "+":
            a, b = w.n(2, w.pick([20, 99, 999])), w.n(2, w.pick([20, 99, 999]))
            return f"{a} + {b} = {a + b}"
        if op == "-":
            b, c = w.n(2, w.pick([20, 99, 499])), w.n(1, w.pick([20, 99, 499]))
            return f"{b + c} - {b} = {c}"
        a, b = w.n(2, 12), w.n(2, w.pick([12, 40]))
        return f"{a} * {b} = {a * b}" if op == "*" else f"{a * b} / {a} = {b}"

    def chain():
        x, out = w.n(2, 30), []
        out.append(f"Start with {x}.")
        for _ in range(w.n(3, 6)):
            step, k = w.n(0, 4), w.n(2, 30)
            if step == 0:
                x, text = x + k, f"Add {k} to get"
            elif step == 1 and x > k:
                x, text = x - k, f"Subtract {k} to get"
            elif step == 2 and x < 60:
                x, text = 2 * x, "Double it to get"
            elif step == 3 and x % 2 == 0:
                x, text = x // 2, "Halve it to get"
            else:
                x, text = x + 10, "Add 10 to get"
            out.append(f"{text} {x}.")
        out.append(f"The result is {x}, which is {'even' if x % 2 == 0 else 'odd'}.")
        return " ".join(out)

    def problem():
        a, b, c = w.n(3, 160), w.n(2, 140), w.n(2, 12)
        w.kept["who"], w.kept["goods"] = w.fill("{person}"), w.pick(words(
            "apples/coins/marbles/stamps/eggs/books/pencils/cards/shells/nuts/plums/buttons/beads/bottles/candles/keys/flowers/tickets"))
        form = w.n(0, 3)
        if form == 0:
            return w.fill(f"{{who}} has {a} {{goods}} and {w.pick(['buys', 'finds', 'gets', 'wins', 'collects'])} {b} more. "
                          f"Now {{who}} has {a} + {b} = {a + b} {{goods}}.")
        if form == 1:
            a = max(a, b + 1)
            return w.fill(f"{{who}} has {a} {{goods}} and {w.pick(['loses', 'sells', 'gives away', 'breaks', 'spends'])} {b}. "
                          f"There are {a} - {b} = {a - b} {{goods}} left.")
        if form == 2:
            b = w.n(2, 12)
            return w.fill(f"There are {c} boxes with {b} {{goods}} each. {{who}} counts {c} * {b} = {c * b} {{goods}}.")
        b = w.n(2, 12)
        return w.fill(f"{{who}} shares {b * c} {{goods}} among {c} friends. Each gets {b * c} / {c} = {b} {{goods}}.")

    def compare():
        a, b = w.n(2, 999), w.n(2, 999)
        word = "greater than" if a > b else "less than" if a < b else "equal to"
        return f"{a} is {word} {b}."

    form = w.n(0, 3)
    if form == 0:
        return "\n".join(sum_line() for _ in range(w.n(8, 14)))
    if form == 1:
        return chain()
    if form == 2:
        return " ".join(problem() for _ in range(w.n(2, 4)))
    return " ".join(compare() for _ in range(w.n(1, 3))) + "\n" + "; ".join(sum_line() for _ in range(w.n(4, 9))) + "."


def recipe(w):
    amount = {"g": lambda: f"{5 * w.n(10, 160)} g", "ml": lambda: f"{10 * w.n(3, 90)} ml", "": lambda: str(w.n(2, 12)),
              "tsp": lambda: w.pick(["1 tsp", "2 tsp", "3 tsp", "½ tsp", "a pinch of", "1 tbsp", "a little", "4 g"])}
    items = []
    for unit, count in (("g", w.n(1, 2)), ("", w.n(1, 2)), ("ml", 1), ("tsp", w.n(1, 2))):
        items += [(unit, food) for food in w.some(FOODS[unit], count, count)]
    main, other = items[0][1], next(food for unit, food in items if unit == "")
    liquid = next(food for unit, food in items if unit == "ml")
    spices = [food for unit, food in items if unit == "tsp"]
    short = other.replace("cloves of ", "")
    title = f"{w.fill('{dish}').capitalize()} with {main} and {short}"
    serves = w.n(2, 8)
    listed = ", ".join(f"{amount[unit]()} {w.fill('{state} ') if w.chance(0.3) else ''}{food}" for unit, food in items)
    heat, minutes = 5 * w.n(28, 48), w.n(2, 60)
    steps = [
        w.fill(w.pick([
            f"{{cook}} the {{cut}} {short} in {{pot}} with the {liquid}", f"{{cook}} the {short} in {{pot}} until {{until}}",
            f"Mix the {{cut}} {main} and the {{cut}} {short} in {{pot}}", f"{{cook}} the {liquid} in {{pot}}, then add the {{cut}} {short}"])),
        w.fill(w.pick([f"{{join}} the {{cut}} {main} and {spices[0]}", f"{{join}} the {main} and season with {spices[-1]}",
                       f"{{join}} the {liquid} and {{cook}} until {{until}}", f"Sprinkle with {spices[0]} and {{cook}} in {{pot}}"])),
        w.fill(w.pick([f"Bake at {heat} °C for {minutes} minutes", f"{{cook}} for {minutes} minutes until {{until}}", "{cook} until {until} and {until}",
                       f"Cover and {{cook}} for {minutes} minutes", f"Leave for {minutes} minutes, then {{cook}} until {{until}}"])),
        w.fill("Serve {serve}"),
    ]
    steps = [re.sub(r"(?<=.)[A-Z]\w+", lambda word: word[0].lower(), step) if "°" not in step else step for step in steps]
    if w.chance(0.4):
        return f"{title} (serves {serves})\nIngredients: {listed}.\n" + "\n".join(f"{i}. {s}." for i, s in enumerate(steps, 1))
    return f"{title}. For {serves} people you need {listed}. " + " ".join(f"{s}." for s in steps)


ASKS = [  # question, answers
    ("Did you see my {t=thing}?", ["No, not since {day}.", "It is {where}.", "I think {other} took it.", "The {quality} {t}? Yes, in the {room}."]),
    ("What are you doing on {d=day}?", ["Nothing yet. Why?", "I have to {task}.", "I am going to {place}.", "On {d}? {other} is coming over."]),
    ("How was your trip to {p=place}?", ["Wonderful, but it rained.", "Too long. I was {mood}.", "I never got to {p}.", "Fine, we met {other} there."]),
    ("Would you like some {drink}?", ["Yes, please.", "No, thank you.", "Only if there is {drink} too.", "Maybe later, I am in a hurry."]),
    ("Can you help me {task}?", ["Of course, give me a minute.", "Sorry, I am busy until {day}.", "Ask {other}, not me.", "Again? We did that last {day}!"]),
    ("Why are you so {mood} today?", ["I could not sleep.", "Because {other} forgot my birthday.", "I lost {small}.", "Am I? I had not noticed."]),
    ("When does the train to {p=place} leave?", ["At {clock}, I think.", "You just missed it.", "There is no train on {day}.", "Ask {other}. I never go to {p}."]),
    ("Who told you about the {t=thing}?", ["{other} did.", "I read it in {small2}.", "Nobody. I guessed.", "Everyone in {place} knows about the {t}."]),
    ("Do you remember {other}?", ["The {job}? Of course.", "Not really.", "Yes, we met in {place}.", "How could I forget {other}!"]),
    ("How much did you pay for the {f=fix}?", ["About {price} euros.", "Far too much.", "Guess!", "Nothing, {other} gave me the {f}."]),
]
REMARKS = ["Well, I am {mood} about it.", "You always say that.", "Let us talk about it on {day}.", "I would rather go to {place}.",
           "All right, I will {task}.", "Don't worry, {you}.", "That's what {other} said.", "I can't believe it, {you}!", "Fine. See you on {day}.",
           "We'll see.", "It's getting late, {you}.", "Oh, I see.", "Really? I'm {mood}."]
W |= {name: words(text) for name, text in {
    "drink": """tea/coffee/milk/lemonade/soup/cake/water/bread/wine/cider/cocoa/cheese/biscuits/juice/honey/toast/jam/salad
        pears/nuts""", "small2": "the paper/a letter/your diary/a book",
}.items()}


def dialogue(w):
    one, two = w.some(W["she"], 1, 1)[0], w.some(W["he"], 1, 1)[0]
    if w.chance(0.5):
        one, two = two, one
    quoted, lines = w.chance(0.4), []
    w.kept["other"] = w.pick([n for n in W["she"] + W["he"] if n not in (one, two)])

    def speak(who, you, template):
        w.kept["you"], w.kept["task"] = you, w.fill(w.pick(TASKS))
        w.kept["clock"], w.kept["price"] = f"{w.n(6, 22)}:{5 * w.n(0, 11):02}", str(w.n(2, 90))
        text = w.fill(template)
        if not quoted:
            return f"{who}: {text}"
        verb = w.pick(["asked", "said"] if text.endswith("?") else ["said", "answered", "replied", "whispered"])
        text = text[:-1] + "," if text.endswith(".") else text
        return f"\"{text}\" {verb} {who}."

    for question, answers in w.some(ASKS, 2, 3):
        lines.append(speak(one, two, question))
        lines.append(speak(two, one, w.pick(answers)))
        if w.chance(0.6):
            lines.append(speak(one, two, w.pick(REMARKS)))
        if w.chance(0.4):
            one, two = two, one
    return "\n".join(lines)


def weather(w):
    low = w.n(-12, 18)
    high = low + w.n(3, 12)
    w.kept["p"] = w.fill("{place}")
    speed = w.n(4, 70)
    head = w.say("Forecast for {p}, {day} {part}.", "Weather report, {p}, {day} " + str(w.n(1, 28)) + " {month}.",
                 "{p}: {sky} on {day} {part}.", "Outlook for the {area} near {p} until {day} {part}.")
    body = [
        w.say("{^sky} skies with {falls} over the {area}, {sky} and {sky} in the {area}.", "{^falls} in the {part}, {sky} later.", "{^sky} at first, then {falls} from the {compass}.",
              "{^falls} in the {area}, {falls} in the {area}, {sky} elsewhere."),
        w.pick([f"Highs near {high}.{w.n(0, 9)} °C, lows around {low}.{w.n(0, 9)} °C.", f"Temperatures between {low} and {high} degrees.",
                f"Maximum {high} °C, minimum {low} °C.", f"It will feel colder than {high} degrees by the evening, falling to {low}."]),
        w.fill(w.pick([f"Winds {{compass}} at {speed} km/h, gusting to {speed + w.n(8, 30)}.", f"{{^wind}} {{compass}} wind, {speed} km/h.",
                       f"Wind {{wind}}, {{compass}} {speed} km/h, turning {{compass}} and {{wind}} by {{part}}."])),
        w.fill(w.pick([f"Pressure {w.n(975, 1040)} hPa, {{trend}}.", f"Humidity {w.n(30, 99)} percent.", f"Chance of {{falls}} {w.n(1, 99)} percent.",
                       f"Sea {{seastate}}, visibility {w.n(1, 30)} km.", "{system} {moves} the {area} on {day}."])),
        w.say("{system} {moves} the {area} by {day} {part}.", "Snow line at " + str(50 * w.n(5, 59)) + " metres in the {area}.",
              "A warning of {falls} is in force for {place}.", "{^falls} expected to reach {place} by {part}.",
              "Further {falls} is likely on {day}.", "{^sky} and {sky} from {day}, with {falls} near {place}."),
    ]
    return " ".join([head] + body[:w.n(3, 5)])


def code(w):
    noun = words("""item/value/name/count/index/total/line/word/node/key/price/user/score/width/path/order/file/table/angle/block/byte
        cell/char/color/column/cost/date/edge/entry/error/event/field/flag/frame/group/height/image/label/layer/level/limit/link/mask/mode/offset
        page/pixel/point/queue/rate/record/result/root/row/rule/size/slot/stack/start/state/step/task/test/time/token/tree/type/weight""")
    verb = words("""get/set/find/count/sort/read/load/save/parse/check/print/update/remove/merge/split/add/build/clear/close/copy/draw/fetch
        fill/init/insert/join/make/move/open/pop/push/scan/send/shift/swap/trim/validate/write""")
    a, b, c = w.some(noun, 3, 3)
    fn = f"{w.pick(verb)}_{w.pick(noun)}"
    plural = a + "s" if a[-1] not in "x" else a + "es"
    op, cmp = w.pick("+-*+"), w.pick(["<", ">", "==", "!=", "<=", ">="])
    number = lambda: w.pick(["0", "1", "2", "10", "100", str(w.n(3, 99))])

    def expr():
        return w.pick([f"{a} {op} {b}", f"{b} {op} {number()}", f"len({a})", f"{a} * {number()}", f"max({a}, {b})", f"abs({a} - {b})", b, a])

    def loop(ind):
        body = w.pick([f"{b} += {expr()}", f"{b} = {expr()}", f"print({a}, {b})", f"{c}.append({expr()})", f"{c}[{a}] = {expr()}"])
        test = w.pick([f"if {a} {cmp} {number()}:", f"if not {a}:", f"if {a} in {c}:", f"if {a} {cmp} {b}:"])
        lines = [w.pick([f"for {a} in {plural}:", f"for {a} in range({number()}):", f"while {b} {w.pick(['<', '>'])} {number()}:"])]
        if w.chance(0.6):
            lines += ["    " + test, "        " + w.pick([body, "continue", "break", f"return {b}"])]
        lines.append("    " + body)
        return [ind + line for line in lines]

    if w.chance(0.6):  # Python
        lines = [f"def {fn}({plural}{w.pick(['', ', ' + b, ', ' + c + '=' + number(), ', ' + c])}):"]
        if w.chance(0.3):
            lines.append(f"    # {w.pick(verb)} the {b} of each {a}")
        lines.append(f"    {b} = {w.pick([number(), 'None', f'len({plural})', f'{plural}[0]'])}")
        if w.chance(0.5):
            lines.append(f"    {c} = {w.pick(['[]', '{}', 'set()', number()])}")
        lines += loop("    ")
        if w.chance(0.4):
            lines += [f"    if {b} {cmp} {number()}:", f"        {w.pick([f'raise ValueError({a!r})', f'return {number()}', f'{b} = {number()}'])}"]
        lines.append(f"    return {w.pick([b, b, c, expr()])}")
        return "\n".join(lines)
    kind = w.pick(["int", "float", "long", "double"])  # C
    lines = [f"{kind} {fn}({kind} *{plural}, int n) {{", f"    {kind} {b} = {number()};",
             f"    for (int i = 0; i < n; i++) {{"]
    if w.chance(0.6):
        lines.append(f"        if ({plural}[i] {cmp} {w.pick([b, number()])}) {w.pick(['continue;', 'break;', f'return {b};', f'{b}++;'])}")
    lines.append(f"        {b} {w.pick(['+=', '-=', '=', '*='])} {plural}[i]{w.pick([';', f' {op} {number()};', f' {op} i;'])}")
    lines.append("    }")
    if w.chance(0.4):
        lines.append(f"    printf(\"{b} = %d\\n\", {b});")
    lines += [f"    return {w.pick([b, b, '0', f'{b} / n'])};", "}"]
    return "\n".join(lines)


def listing(w):
    mark = w.pick(["- ", "* ", "1", "[ ] "])
    form, size = w.n(0, 2), w.n(5, 9)
    if form == 0:
        head = w.say("Packing list for {place}:", "To bring to {place} on {day}:", "Camping gear for {count} people:", "In the {colour} box:")
        items = [w.say("{count} {size} ", "{size} ", "{count} ", "{size} {size} ") + thing for thing in w.some(PACK, size, size)]
    elif form == 1:
        head = w.say("Shopping list for {day}:", "In stock at {place}:", "Order for {person}:", "Needed by {day} {part}:")
        items = [w.say("{count} {unit} ", "{count} {unit} ", "{count} {unit} {size} ", str(w.n(2, 99)) + " {unit} ") + thing for thing in w.some(STORE, size, size)]
    else:
        head = w.say("To do on {day}:", "To do before {month}:", "Tasks for {person}:", "Still open this week:")
        items = [w.fill(task) for task in w.some(TASKS, size, size)]
    if w.chance(0.3):
        items.sort()
    return "\n".join([head] + [(f"{i}. " if mark == "1" else mark) + an(item) for i, item in enumerate(items, 1)])


def legal(w):
    one, two = w.some(W["party"], 2, 2)
    w.kept |= {"one": one, "two": two, "d": w.fill("{doc}")}
    section, days = w.n(1, 19), w.pick(["seven", "ten", "fourteen", "thirty", "sixty", "ninety"])
    clauses = [
        "The {one} shall not {right} {unless}.", "The {two} may {right} {unless}.", "The {one} shall {duty} within " + days + " days of {event}.",
        "On {event}, the {two} may {right} or {duty}.", "Nothing in this {d} shall limit the right of the {one} to {right}.",
        "The {two} shall {duty}, {unless}.", "Disputes over {ladj} {lnoun} shall be settled by {law}.", "The {one} warrants that it will {duty} {unless}.",
        "If the {two} fails to {duty}, the {one} may {right} upon " + days + " days' written notice.",
        "Neither the {one} nor the {party} shall be liable for {event} or {event}.", "This {d} ends upon {event}, {unless}.",
        "\"{^ladj} {^lnoun}\" means {ladj} {lnoun}, {lnoun} and {ladj} {lnoun}, {unless}.", "The {two} shall {duty} and {duty}.",
        "{^lnoun}, {lnoun} and {ladj} {lnoun} remain with the {one} {unless}.",
    ]
    chosen = w.some(clauses, 2, 3)
    if w.chance(0.5):
        return "\n".join(f"§ {section}.{i} {w.fill(clause)}" for i, clause in enumerate(chosen, 1))
    return f"Section {section}. " + " ".join(w.fill(clause) for clause in chosen)


def story(w):
    woman = w.chance(0.5)
    name = w.pick(W["she"] if woman else W["he"])
    w.kept |= {"name": name, "sub": "she" if woman else "he", "pos": "her" if woman else "his", "obj": "her" if woman else "him",
               "job1": w.fill("{job}"), "a": w.fill("{animal}"), "t": w.fill("{thing}"), "q": w.fill("{quality}"), "l": w.fill("{land}")}
    opening = w.say("{^when}, {name} the {job1} {went} to the {l} {way}.", "There was once a {old} {job1} called {name} who lived {where}.",
                    "{name} was a {old} {job1}, and {sub} had a {q} {t}.", "In a {land} near the {l} lived a {old} {a} and a {job1} named {name}.")
    middle = [
        "{^where} {sub} {found} a {q} {t}.", "The {adj} {a} {found} {obj} and was {mood}.", "{^when} the {job1} {went} {way} to the {adj} {l}.",
        "\"Give me the {t},\" said the {a}, \"and I will show you the {adj} {land}.\"", "{name} was {mood}, but {sub} promised {promise}.",
        "A {old} {job} {found} {pos} {t} {where}.", "Then the {a} {went} {way} and {found} a {obj2}.", "So {sub} {went} {way}, and the {a} {found} the {adj} {obj2}.",
        "{^sub} asked the {old} {job} {promise}.", "But the {t} was {adj} and {adj}, and {name} {found} it {where}.",
        "For {count} days {name} and the {a} {went} {way}.", "\"I am {mood},\" said {name}, and {sub} {found} the {t}.",
        "There {sub} {found} a {obj2}, a {adj} {obj2} and {count} {adj} coins.", "{^where} sat a {adj} {job}, {mood} and {mood}.",
        "\"{^adj} {animal}!\" said the {job}, \"you {found} my {adj} {obj2}.\"", "The {obj2} of the {job} was {adj}, so {name} {found} the {adj} {obj2}.",
    ]
    return " ".join([opening] + [w.fill(s) for s in w.some(middle, 3, 5)] + ([w.fill("{moral}.")] if w.chance(0.7) else []))


KINDS = {"arithmetic": arithmetic, "recipe": recipe, "dialogue": dialogue, "weather": weather,
         "code": code, "list": listing, "legal": legal, "story": story}


def passages(rng, size, taken):
    """(kind, text) pairs, none of them in `taken`, until they fill `size` bytes; every kind gets as many passages as the others."""
    filled, deck = 0, []
    while filled < size:
        if not deck:
            deck = list(KINDS) * 4
            rng.shuffle(deck)
        kind = deck[-1]
        text = KINDS[kind](Writer(rng))
        if kind not in ("code", "list"):
            text = an(text)
        if text in taken:
            continue
        assert "\n\n" not in text and ("{" not in text or kind == "code"), text
        deck.pop()
        filled += len(text.encode()) + 2
        yield kind, text


def main():
    taken = set()
    for path, seed, size, labelled in TEXTS:
        made = list(passages(random.Random(seed), size, taken))
        path.write_text("\n\n".join(text for _, text in made) + "\n", encoding="utf-8", newline="\n")
        if labelled:
            taken |= {text for _, text in made}
            at, rows = 0, ["start\tend\tkind"]
            for kind, text in made:
                end = at + len(text.encode())
                rows.append(f"{at}\t{end}\t{kind}")
                at = end + 2
            path.with_suffix(".labels.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8", newline="\n")
        print(f"{path.name}: {path.stat().st_size} bytes, {len(made)} passages")


if __name__ == "__main__":
    main()
