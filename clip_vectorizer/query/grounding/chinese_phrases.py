"""Chinese noun phrases: what lies between the words of the closed classes, which are found from left to right.

Chinese has no spaces, so a character such as 上 ("on") may also be part of a noun (上衣, "top"): KEPT lists common
nouns that contain one. The particle 的 joins what describes a noun to it, or ends a clause before one.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum, auto
from importlib.resources import files

from clip_vectorizer.query.grounding.spans import CHINESE_MARKS, Span, strip_span


class Kind(Enum):
    OPEN = auto()  # part of a noun phrase
    DE = auto()  # 的
    COUNT = auto()  # a determiner, or a number with its measure word
    LINK = auto()  # a conjunction, or a comma
    VERB = auto()  # a verb, an auxiliary, or a preposition: what follows is its object
    PLACE = auto()  # "on", "left of": follows a noun
    BREAK = auto()  # anything else that is no part of a noun phrase


def alternatives(text: str) -> str:
    return "|".join(sorted(text.split(), key=len, reverse=True))


# Nouns that contain a character of the classes below.
KEPT = alternatives(files(__package__).joinpath("chinese_nouns.txt").read_text(encoding="utf-8"))
MEASURES = (
    "个只把根辆块张条本件双对群匹头座栋间架艘棵朵片串杯碗瓶盘盒袋桶包堆排位名种幅颗粒支枝台部扇盏束口份滴道套筐篮面顶副"
)
QUANTITIES = alternatives("许多 很多 好多 多少 这些 那些 一些 有些 某些 大量 若干")
COUNTS = rf"(?:第?[一二两三四五六七八九十百千几多半每各某这那哪整\d]+|多少)[大小]?[{MEASURES}]|{QUANTITIES}|\d+"

# Verbs of one character: ACTIONS wherever they stand; the others, which are part of many nouns (炸弹, 拖拉机), only at
# the beginning of a clause, after a person or before 着 and 了.
ACTIONS = "骑踢吃喝拿抱戴穿睡坐站躺追牵抓叼咬遛喂看趴蹲玩"
OTHERS = "停举背推拉打飞跑走跳游放挂靠扔投切洗写读听弹吹拍摸握捧端提扛亲摘装围系撑盯望进想数画跪拄留扎堆"
PREPOSITIONS = "给把被从往向朝比"
PHRASAL = alternatives(
    "有没有 没有 有 没 是不是 不是 而是 就是 都是 是 正在 在 找出 找到 寻找 查找 找 看到 看见 看看 显示 数一数 "
    "圈出 标出 框出 给我 告诉我 帮我  "
    "想要 需要 要 除了 对着 面向 面对 朝着 打开 站立 睡觉 跑步 跳舞 唱歌 吃饭 走路 说话 游泳 洗澡 拥抱 摆放 "
    "漂浮 悬挂 着 了"
)
AFTER_VERB = "(?=着|了|在)"
CLAUSE_START = rf"(?<![^\s我你他她它的个只位名群些着了,.;{CHINESE_MARKS}和与跟在上里中正])"
VERBS = (
    f"{PHRASAL}|[{ACTIONS}](?:过|得|下|到)?|(?:{CLAUSE_START}|(?<=[人孩们童猫狗鸟生]))[{OTHERS}](?:过|得|满)?"
    f"|[{OTHERS}{PREPOSITIONS}]{AFTER_VERB}|[{OTHERS}][过满]|(?<=在)[哭笑]|{CLAUSE_START}[{PREPOSITIONS}]"
)
PLACES = alternatives(
    "左边 右边 上边 下边 前边 后边 里边 外边 旁边 左面 右面 上面 下面 前面 后面 里面 外面 对面 左侧 右侧 两侧 "
    "两边 中间 之间 之上 之下  "
    "附近 周围 四周 上方 下方 左上角 右上角 左下角 右下角 左上方 右上方 角落里 角落 底下 中央 身上 身边 手里 "
    "手上 手中 背上 头上 脚下 怀里  "
    "嘴里 肩上"
)
AFTER_PLACE = (
    rf"(?=[的有没在是和与还也都正吗呢一二两三四五六七八九十几{ACTIONS}{OTHERS}{CHINESE_MARKS},.?!\s]|.着|.满|$)"
)
LINKS = alternatives("和 与 跟 及 以及 或 或者 还有 并且 而且 加上")
ASPECTS = "什么(?:颜色|形状|东西|样子|时候|地方|样的?)?"
BREAKS = alternatives(
    "我们 你们 他们 她们 它们 咱们 大家 我 你 他 她 它 这里 那里 哪里 哪儿 这儿 那儿 这边 那边 谁 怎么样 怎么 "
    "怎样 几 自己 其他 所有  "
    "全部 任何 这 那 哪 吗 呢 吧 啊 呀 哦 么 不 也 都 还 就 而 但是 但 因为 所以 如果 很 更 非常 十分 请 一起 "
    "已经 可以 应该"
)
TIMES = alternatives("夜晚 晚上 夜里 白天 早上 早晨 清晨 傍晚 黄昏 中午 下午 今天 昨天 现在")
FRAMES = "(?:照片|图片|图像|图画|画面|相片|插图|截图|(?<![^\\s这那张幅])图)(?:里面|里|中|上)?|图(?:里面|里|中|上)"
COMMAS = rf"[,;.?!:…“”\"'()《》{CHINESE_MARKS}]"
MODIFIER = (
    ""
    "(?:深|浅|淡)?(?:[红橙黄绿蓝紫黑白灰粉棕金银青褐]色?|彩色|粉红色?|大|小|高|矮|长|短|新|旧|快|慢|胖|瘦|圆|方|老|美|亮|暗|"
    "漂亮|可爱|巨大|开心|高兴|好看|好吃)"
)
ADJECTIVE = re.compile(f"(?:最?{MODIFIER}的?)+")
MODALS = f"[能会正太](?=[在{ACTIONS}{OTHERS}]|{MODIFIER}|$)"

TOKENS = re.compile(
    "|".join(
        f"(?P<{name}>{pattern})"
        for name, pattern in (
            ("KEPT", KEPT),
            ("COUNT", COUNTS),
            ("FRAME", f"(?:{FRAMES})(?=的|有|没|是|$|{COMMAS}|\\s)"),
            ("TIME", f"(?:{TIMES})"),
            ("PLACE", f"{PLACES}|[上下里中内旁外]{AFTER_PLACE}|(?<=[朝向往])[左右上下前后]"),
            ("DE", "的"),
            ("VERB", VERBS),
            ("LINK", f"{LINKS}|{COMMAS}"),
            ("BREAK", f"{ASPECTS}|{BREAKS}|{MODALS}|\\s+(?=[^A-Za-z0-9])|(?<=[^A-Za-z0-9])\\s+"),
            ("OPEN", r"[A-Za-z0-9][A-Za-z0-9'-]*|\S|\s"),
        )
    )
)
KINDS = {"KEPT": Kind.OPEN, "FRAME": Kind.BREAK, "TIME": Kind.BREAK} | {kind.name: kind for kind in Kind}


@dataclass(frozen=True, slots=True)
class Piece:
    """Neighbouring characters of one kind."""

    kind: Kind
    text: str
    span: Span


def find_chinese_spans(sentence: str) -> list[Span]:
    """Return the spans of the noun phrases, in order.

    >>> find_chinese_spans("桌子上的红色的苹果")
    [(0, 2), (4, 9)]
    """
    pieces = join_de(list(join_open(read_pieces(sentence))))
    is_one_word = len(pieces) == 1
    named = [piece.span for index, piece in enumerate(pieces) if is_one_word or is_name(pieces, index)]
    return [span for each in named if (span := strip_span(sentence, each))]


def read_pieces(sentence: str) -> Iterator[Piece]:
    for found in TOKENS.finditer(sentence):
        yield Piece(KINDS[str(found.lastgroup)], found[0], found.span())


def join_open(pieces: Iterator[Piece]) -> Iterator[Piece]:
    """Yield the pieces with neighbouring open ones as one; before 着 the last character is a verb."""
    run: Piece | None = None
    for piece in pieces:
        if piece.kind is Kind.OPEN:
            run = piece if run is None else join(run, piece)
            continue
        if run is not None:
            yield from split_progressive(run) if piece.text == "着" else (run,)
        run = None
        yield piece
    if run is not None:
        yield run


def join(left: Piece, right: Piece) -> Piece:
    return Piece(Kind.OPEN, left.text + right.text, (left.span[0], right.span[1]))


def split_progressive(run: Piece) -> Iterator[Piece]:
    start, end = run.span
    if len(run.text) > 1:
        yield replace(run, text=run.text[:-1], span=(start, end - 1))
    yield Piece(Kind.VERB, run.text[-1], (end - 1, end))


def join_de(pieces: list[Piece]) -> list[Piece]:
    """Join "红色" and "狗" to what follows 的; not the object of a verb, whose clause 的 ends."""
    joined: list[Piece] = []
    for piece in pieces:
        if piece.kind is Kind.OPEN and len(joined) >= 2 and is_attribute(joined):
            joined[-2:] = [Piece(Kind.OPEN, f"{joined[-2].text}的{piece.text}", (joined[-2].span[0], piece.span[1]))]
        else:
            joined.append(piece)
    return joined


def is_attribute(earlier: list[Piece]) -> bool:
    """Whether the last two pieces, an open one and 的, describe what follows."""
    left, de = earlier[-2:]
    if left.kind is not Kind.OPEN or de.kind is not Kind.DE:
        return False
    return ADJECTIVE.fullmatch(left.text) is not None or not in_clause(earlier[:-2])


def in_clause(earlier: list[Piece]) -> bool:
    """Whether a verb comes before, with nothing but other objects between: "wears glasses and"."""
    end = len(earlier)
    while end >= 2 and earlier[end - 1].text in ("和", "与") and earlier[end - 2].kind is Kind.OPEN:
        end -= 2
    return end > 0 and earlier[end - 1].kind is Kind.VERB


def is_name(pieces: list[Piece], index: int) -> bool:
    """Whether the piece names a thing: no adjective that says something of what came before."""
    piece = pieces[index]
    if piece.kind is not Kind.OPEN:
        return False
    return not (index and ADJECTIVE.fullmatch(piece.text) and pieces[index - 1].kind is not Kind.COUNT)
