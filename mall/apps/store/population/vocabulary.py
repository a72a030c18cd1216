"""Words from which names are made. Brands and people are invented; any likeness is chance."""

from random import Random

from apps.store.models import Shop

BRAND_CHARACTERS = "云锦素木青禾南江山月星川海棠竹溪鹿鸣朴谷初晴悦澜森屿知味物语"
GOODS = {
    Shop.Category.FASHION: ("服饰", "女装", "男装", "衣橱", "运动", "鞋履"),
    Shop.Category.DINING: ("火锅", "小馆", "茶饮", "面馆", "烘焙", "烤肉", "咖啡"),
    Shop.Category.JEWELLERY: ("珠宝", "银饰", "钟表", "黄金"),
    Shop.Category.BEAUTY: ("美妆", "护肤", "美甲", "造型"),
    Shop.Category.DIGITAL: ("数码", "手机", "影音", "智能生活"),
    Shop.Category.CHILDREN: ("童装", "玩具", "母婴", "儿童乐园"),
    Shop.Category.HOME: ("家居", "床品", "生活馆", "花艺"),
    Shop.Category.SUPERMARKET: ("超市", "生鲜", "便利店"),
    Shop.Category.LEISURE: ("影城", "健身", "书店", "电玩"),
}
SURNAMES = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕"
FIRST_CHARACTERS = ("", "", "建", "志", "晓", "雨", "子", "浩", "欣", "思", "嘉", "雅", "文", "海")
LAST_CHARACTERS = "伟芳娜敏静丽强磊洋艳勇军杰涛国东桐涵然怡萱远豪琴博燕"


def brand(rng: Random, category: Shop.Category) -> str:
    return "".join(rng.sample(BRAND_CHARACTERS, 2)) + rng.choice(GOODS[category])


def person(rng: Random) -> str:
    return rng.choice(SURNAMES) + rng.choice(FIRST_CHARACTERS) + rng.choice(LAST_CHARACTERS)


def phone(rng: Random) -> str:
    """From a block of numbers that is used for examples: nobody's phone should ring."""
    return f"1380000{rng.randrange(10_000):04}"
