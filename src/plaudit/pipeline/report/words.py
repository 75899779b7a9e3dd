"""The texts of the report, in English and Chinese."""

from typing import Literal

Language = Literal["en", "zh"]

ENGLISH = {
    "title": "What {environment} learned",
    "from_people": "{labels} answers of {people} taught a reward; {algorithm} made the policy do more of it. "
    "The environment's own reward had weight {weight}.",
    "plain": "{algorithm} learned from the environment's own reward; nobody was asked.",
    "verdict": "True return: {before:.0f} before, {after:.0f} ± {spread:.0f} after, over {episodes} episodes "
    "and {steps:,} environment steps.",
    "unfinished": "This run is {status}: the page shows what there is so far.",
    "people_one": "one person",
    "people_many": "{count} people",
    "clips": "Before and after",
    "clips_say": "One episode of the policy before learning, and one after.",
    "before": "before",
    "after": "after",
    "no_clip": "No clip: {reason}",
    "return": "True return while learning",
    "return_say": "What the environment would have paid, per episode. Higher is better. "
    "Dotted lines mark moments when people were asked.",
    "steps": "environment steps",
    "true_return": "true return",
    "labels": "answers so far",
    "return_labels": "True return against answers",
    "return_labels_say": "How much each answer bought: the curve should rise from left to right.",
    "agree": "Learned against true reward",
    "agree_say": "Each dot is one episode. If the learned reward means what the true one means, dots lie on a rising "
    "line. Rank correlation: {rho:.2f} (1 is perfect, 0 is none).",
    "learned_return": "learned return",
    "accuracy": "Did the reward model foresee answers?",
    "accuracy_say": "Before each refit the model forecast the new answers without having seen them. Share it got "
    "right, with a 95 % interval; one half is guessing. All rounds together: {share:.0%} of {count}.",
    "fresh_accuracy": "share foreseen",
    "calibration": "Do its probabilities mean what they say?",
    "calibration_say": "Forecasts are sorted by their probability; dots on the diagonal mean that of the pairs forecast "
    "with 80 %, 80 % came true. Brier score {brier:.3f} (0 is perfect, .25 is guessing); slope {slope:.2f} "
    "(below 1: too sure of itself, above 1: too timid).",
    "forecast": "forecast: first is better",
    "came_true": "share that came true",
    "said": "What people said",
    "said_say": "Answers: {labels}. Called equal: {equal:.0%}, skipped: {skip:.0%}. Simulated people flipped "
    "{mistakes:.0%} of their decided answers and agreed with the true order in {agreement:.0%}.",
    "details": "Settings, versions and last metrics",
}

CHINESE = {
    "title": "{environment} 学到了什么",
    "from_people": "{people}给出的 {labels} 个回答教会了一个奖励模型；{algorithm} 让策略更多地去做人们想要的事。"
    "环境自身奖励的权重是 {weight}。",
    "plain": "{algorithm} 直接从环境自身的奖励中学习，没有询问任何人。",
    "verdict": "真实回报：学习前 {before:.0f}，学习后 {after:.0f} ± {spread:.0f}（{episodes} 个回合，"
    "共 {steps:,} 个环境步）。",
    "unfinished": "这次运行的状态是 {status}：本页展示目前已有的内容。",
    "people_one": "一个人",
    "people_many": "{count} 个人",
    "clips": "学习前与学习后",
    "clips_say": "学习前策略的一个回合，以及学习后的一个回合。",
    "before": "之前",
    "after": "之后",
    "no_clip": "没有短片：{reason}",
    "return": "学习过程中的真实回报",
    "return_say": "环境本来会给每个回合的奖励，越高越好。虚线标出向人提问的时刻。",
    "steps": "环境步数",
    "true_return": "真实回报",
    "labels": "目前的回答数",
    "return_labels": "真实回报与回答数",
    "return_labels_say": "每个回答换来了多少：曲线应从左向右上升。",
    "agree": "学到的奖励与真实奖励",
    "agree_say": "每个点是一个回合。如果学到的奖励与真实奖励含义一致，点会落在一条上升的线上。"
    "等级相关系数：{rho:.2f}（1 为完全一致，0 为无关）。",
    "learned_return": "学到的回报",
    "accuracy": "奖励模型能预见回答吗？",
    "accuracy_say": "每次重新拟合之前，模型先预测它从未见过的新回答。图中是猜对的比例和 95 % 区间；"
    "一半等于瞎猜。所有轮次合计：{count} 个中对了 {share:.0%}。",
    "fresh_accuracy": "预见的比例",
    "calibration": "它给出的概率可信吗？",
    "calibration_say": "预测按概率分组；点落在对角线上，表示预测为 80 % 的事确有 80 % 成真。"
    "Brier 分数 {brier:.3f}（0 为完美，0.25 为瞎猜）；斜率 {slope:.2f}（小于 1：过于自信；大于 1：过于保守）。",
    "forecast": "预测：第一个更好",
    "came_true": "成真的比例",
    "said": "人们说了什么",
    "said_say": "回答：{labels} 个。认为相同：{equal:.0%}，跳过：{skip:.0%}。"
    "模拟的人把 {mistakes:.0%} 的决定说反了，{agreement:.0%} 与真实顺序一致。",
    "details": "设置、版本与最后的指标",
}

TEXTS: dict[Language, dict[str, str]] = {"en": ENGLISH, "zh": CHINESE}
