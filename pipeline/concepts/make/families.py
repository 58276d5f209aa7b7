"""Which emoji stand for which concept and family.

Families are given by code point, as Unicode's own groups have them, without signs and buttons.
"""

from __future__ import annotations

FAMILIES = {
    "animal": "1F400-1F43C 1F43F 1F54A 1F577 1F980-1F9A9 1F9AB-1F9AE 1FAB0-1FAB3 1FAB8 1FABC "
    "1FABF 1FACC-1FACF",
    "food": "2615 1F32D-1F330 1F336 1F33D 1F344-1F37B 1F37F 1F382 1F950-1F961 1F963-1F96F "
    "1F980 1F990 1F99E 1F9AA 1F9C0-1F9C2 1F9C4-1F9CB 1FAD0-1FAD5 1FAD8 1FADA-1FADD",
    "nature": "2600 2601 2604 2618 26C8 2744 1F300 1F301 1F308 1F30B 1F30C 1F315 1F319 1F320 "
    "1F32A 1F32B 1F331-1F335 1F337-1F33C 1F33E-1F344 1F490 1F4A7 1F525 1F940 1FA90 1FAA8 "
    "1FAB4-1FAB7 1FABB 1FABE 1FA8B",
    "place": "26E9 26EA 26F0 26F2 26FA 2668 1F306 1F30B 1F3AA 1F3A1 1F3A2 1F3D4-1F3DF 1F3E0 "
    "1F3E1 1F3E2-1F3ED 1F3EF 1F3F0 1F492 1F54B-1F54D 1F5FB-1F5FD 1F5FF 1F689 1F68F "
    "1F6D5 1F6D6 1F6D9 1F6E3 1F6E4",
    "activity": "26BD 26BE 26F7 26F8 1F3A3 1F3AD-1F3B1 1F3B3 1F3BE-1F3C0 1F3C2-1F3C4 1F3C7-1F3CC "
    "1F3CF-1F3D3 1F3F8 1F483 1F57A 1F6A3 1F6B4-1F6B6 1F938-1F93A 1F93C-1F93E 1F94B-1F94F "
    "1F9D7 1F9D8 1F386 1F933",
    "object": "231A 2328 23F0-23F2 2602 2603 260E 2692-2694 2696 2697 2699 26B0 26D3 26F4 26F5 "
    "26FD 2702 2708 2709 270F 1F374 1F37C 1F380 1F381 1F388 1F38E 1F390 1F392 1F393 1F396 "
    "1F399 1F39E 1F39F 1F3A0 1F3A4 1F3A5 1F3A7-1F3A9 1F3AB 1F3AC 1F3B2 1F3B5 1F3B7-1F3BD "
    "1F3C5 1F3C6 1F3CD 1F3CE 1F3EE 1F3F9 1F3FA 1F451-1F462 1F484 1F489 1F48A 1F48D 1F48E "
    "1F4A1 1F4A3 1F4B0 1F4B3 1F4BA-1F4BC 1F4BE 1F4C0 1F4C5 1F4CB-1F4D0 1F4D2 1F4D3 1F4DA "
    "1F4DC 1F4DE-1F4E0 1F4E2 1F4E3 1F4E6 1F4EE-1F4F1 1F4F7 1F4F9-1F4FD 1F4FF 1F50B 1F50C "
    "1F511 1F514 1F526-1F52A 1F52C-1F52E 1F56F 1F576 1F579 1F58A 1F58B 1F58C 1F58D 1F5A5 "
    "1F5A8 1F5B1 1F5BA 1F5DD 1F5DE 1F5E1 1F5FA 1F680-1F68E 1F690-1F693 1F695 1F697 "
    "1F699-1F69D 1F6A2 1F6A4 1F6A8 1F6AA 1F6AC 1F6B2 1F6BD 1F6BF 1F6C1 1F6CF 1F6D2 1F6D7 "
    "1F6DD-1F6DF 1F6E1 1F6E5 1F6F0 1F6F3-1F6FC 1F93F 1F941 1F944 1F947-1F94A 1F962 1F97B-1F97F "
    "1F9AF 1F9BC 1F9E2-1F9E6 1F9E8-1F9EB 1F9ED-1F9FE 1FA70-1FA74 1FA79-1FA7C 1FA80-1FA8A "
    "1FA8E 1FA8F 1FA91-1FA99 1FA9A-1FAA7 1FAA9 1FAAD 1FAAE 1FAD6 1FAD9",
    "person_trait": "1F466-1F469 1F46A 1F46E 1F474-1F478 1F482 1F575 1F930 1F934 1F9D2 1F9D3",
    "fictional_universe": "1F409 1F479-1F47B 1F47D 1F9B8 1F9B9 1F9CC 1F9D9-1F9DF 1F977 1F984",
    "symbol": "2622 2623 262E 262F 2648-2653 267B 267E 2693 269B 269C 2660 2663 2665 2666 26CE "
    "2764 2620 1F3C1 1F480 1F494 1F4A9 1F4AF 1F531 1F6D1 1F9FF 1FAAC",
    "religion": "2626 262A 2638 271D 2721 1F549 1F54B-1F54E 1F6D0 1F6D5 1FAAF",
    "body": "1F440-1F445 1F463 1F4AA 1F9B4-1F9B7 1F9E0 1FAC0 1FAC1",
    "holiday": "1F383-1F387 1F38B",
    "typographic": "A9 AE 2122 1F197 1F198 1F19A 1F520-1F524",
}
"""Emoji of one code point by family, as Unicode's own groups have it, without signs and buttons."""

RELIGIONS = {
    **dict.fromkeys((0x26EA, 0x271D), "Christianity"),
    **dict.fromkeys((0x262A, 0x1F54B, 0x1F54C), "Islam"),
    **dict.fromkeys((0x2721, 0x1F54D, 0x1F54E), "Judaism"),
    **dict.fromkeys((0x1F549, 0x1F6D5), "Hinduism"),
    0x2626: "Orthodox Christianity",
    0x2638: "Buddhism",
    0x1FAAF: "Sikhism",
    0x26E9: "Shinto",
    0x1F6D0: "prayer",
}
EMOTIONS = {
    "joy": "263A 1F600 1F601 1F603 1F604 1F60A 1F642 1F638 1F63A",
    "laughter": "1F602 1F605 1F606 1F923 1F639",
    "love": "1F60D 1F970 1F63B 1F491 1F48C",
    "kiss": "1F617 1F618 1F619 1F61A 1F48F",
    "sadness": "2639 1F614 1F61E 1F625 1F641 1F979",
    "crying": "1F622 1F62D 1F63F",
    "anger": "1F620 1F621 1F624 1F92C 1F63E 1F47F",
    "fear": "1F628 1F631 1F640",
    "surprise": "1F62E 1F62F 1F632",
    "disgust": "1F922 1F92E",
    "confusion": "1F615 1F616 1F635 1F974",
    "anxiety": "1F61F 1F630 1F627",
    "tiredness": "1F62A 1F62B 1F629 1F971",
    "calm": "1F60C",
    "shame": "1F633",
    "boredom": "1F610 1F611 1F612",
    "wink": "1F609",
    "coolness": "1F60E",
    "thinking": "1F914",
    "curiosity": "1F9D0",
    "sleep": "1F634",
    "shock": "1F92F",
    "sickness": "1F912 1F637 1F927",
    "pain": "1F915",
    "cold": "1F976",
    "heat": "1F975",
    "celebration": "1F973",
    "craziness": "1F61C 1F61D 1F92A",
    "silence": "1F910",
    "secrecy": "1F92B",
    "greed": "1F911",
    "lying": "1F925",
    "affection": "1F917",
    "desire": "1F924",
    "contempt": "1F644",
    "intelligence": "1F913",
    "innocence": "1F607",
    "mischief": "1F608",
}
PROFESSIONS = (
    *("health worker", "judge", "pilot", "farmer", "cook", "student", "singer", "artist"),
    *("teacher", "factory worker", "technologist", "office worker", "mechanic", "scientist"),
    *("astronaut", "firefighter", "detective", "construction worker", "police officer"),
)
NAMES = {
    "hot beverage": "coffee",
    "ewe": "sheep",
    "honeybee": "bee",
    "automobile": "car",
    "soccer ball": "football",
    "american football": "American football",
    "ox": "cattle",
    "jack-o-lantern": "Halloween",
    "Christmas tree": "Christmas",
    "Santa Claus": "Christmas",
    "boy": "man",
    "girl": "woman",
    "old man": "old person",
    "old woman": "old person",
    "older person": "old person",
    "airplane": "aircraft",
    "bug": "insect",
    "person running": "running",
    "person biking": "cycling",
    "person swimming": "swimming",
    "person climbing": "climbing",
    "skier": "skiing",
    "skis": "skiing",
    "books": "book",
    "person golfing": "golf",
    "person rowing boat": "rowing",
    "person surfing": "surfing",
    "person walking": "walking",
    "woman dancing": "dance",
    "man dancing": "dance",
    "person fencing": "fencing",
    "person juggling": "juggling",
    "person lifting weights": "weightlifting",
    "people wrestling": "wrestling",
    "person mountain biking": "cycling",
    "person playing handball": "handball",
    "person playing water polo": "water polo",
    "person in lotus position": "yoga",
    "person cartwheeling": "gymnastics",
    "T-Rex": "dinosaur",
    "sauropod": "dinosaur",
    "turkey": "turkey bird",
    "x-ray": "X-ray",
    "red heart": "heart",
    "heart suit": "heart",
}
"""Concepts whose plain name is not the emoji's."""
