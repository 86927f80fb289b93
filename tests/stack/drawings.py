"""Things to look for: drawings of examples/images and their names in English and Chinese."""

# Picked by eye before any model ran: common words, one drawing each in examples/images.
DRAWINGS = {
    "animals/panda": ("panda", "熊猫"),
    "birds/owl": ("owl", "猫头鹰"),
    "birds/penguin": ("penguin", "企鹅"),
    "buildings/castle": ("castle", "欧洲城堡"),
    "clothes/glasses": ("glasses", "眼镜"),
    "clothes/socks": ("socks", "袜子"),
    "drinks/wine-glass": ("wine glass", "葡萄酒"),
    "flowers/rose": ("rose", "玫瑰"),
    "flowers/sunflower": ("sunflower", "向日葵"),
    "food/hot-dog": ("hot dog", "热狗"),
    "food/pretzel": ("pretzel", "椒盐卷饼"),
    "fruit/banana": ("banana", "香蕉"),
    "fruit/strawberry": ("strawberry", "草莓"),
    "fruit/watermelon": ("watermelon", "西瓜"),
    "hearts/broken-heart": ("broken heart", "心碎"),
    "insects/butterfly": ("butterfly", "蝴蝶"),
    "insects/snail": ("snail", "蜗牛"),
    "musical instruments/guitar": ("guitar", "吉他"),
    "musical instruments/violin": ("violin", "小提琴"),
    "sports/soccer-ball": ("soccer ball", "足球"),
    "tools/hammer": ("hammer", "锤子"),
    "vegetables/carrot": ("carrot", "胡萝卜"),
    "vehicles/tractor": ("tractor", "拖拉机"),
    "weather/tornado": ("tornado", "龙卷风"),
}
