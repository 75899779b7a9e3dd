"""The report of language runs, and of several runs together, in Chinese."""

CHINESE = {
    "language_title": "{prompts}：语言模型学到了什么",
    "service": "客服对话",
    "language_people": "语言模型回答提示。人们看到对同一提示的两个回答，共 {labels} 次说出哪一个更好。奖励模型"
    "从中学习，{algorithm} 再训练语言模型给出奖励模型评分更高的回答。",
    "language_model": "{algorithm} 用先前学好的奖励模型训练语言模型；这里没有询问任何人。",
    "language_plain": "{algorithm} 用以函数给出的奖励训练语言模型，没有询问任何人。",
    "language_functions": "训练所用的奖励是加权之和，权重为：{weights}。",
    "language_hidden": "这里知道一个回答真正值多少，称为“隐藏分数”：没有任何东西从它学习，它只用来检验结果。",
    "language_no_hidden": "这里没有人能说出一个回答真正值多少（没有隐藏分数）：下面的一切都用训练所用的奖励来衡"
    "量，而它是在夸自己的成果。",
    "hidden_score": "隐藏分数",
    "proxy_score": "{proxy}",
    "learned_reward": "学到的奖励",
    "given_reward": "训练所用的奖励",
    "updates": "更新次数",
    "tile_wins": "对训练前模型的胜率",
    "tile_wins_note": "95% 置信区间 {low_high}，{prompts} 个留出的提示，平局 {ties}（各算半胜）",
    "tile_change": "{measure}，训练前 → 训练后",
    "tile_hidden_note": "{prompts} 个留出提示上的平均",
    "tile_proxy_note": "{prompts} 个留出提示上的平均；没有隐藏分数",
    "tile_kl": "每个回答的 KL（纳特）",
    "tile_kl_note": "离训练前的模型有多远",
    "wins_better": "模型变好了：与训练前的模型相比，它在 {prompts} 个留出提示上的胜率为 {rate}（95% 区间 "
    "{low_high}）。",
    "wins_worse": "模型变差了：与训练前的模型相比，它在 {prompts} 个留出提示上的胜率只有 {rate}（95% 区间 "
    "{low_high}）。",
    "wins_unclear": "没有明显变化：与训练前的模型相比，它在 {prompts} 个留出提示上的胜率为 {rate}，95% 区间（"
    "{low_high}）包含一半。",
    "scored_better": "训练起了作用：按{proxy}，它在 {prompts} 个留出提示上对训练前模型的胜率为 {rate}（95% 区间"
    " {low_high}）。",
    "scored_worse": "训练没有起作用：按{proxy}，它在 {prompts} 个留出提示上对训练前模型的胜率只有 {rate}（95% "
    "区间 {low_high}）。",
    "scored_unclear": "没有明显变化：按{proxy}，它在 {prompts} 个留出提示上对训练前模型的胜率为 {rate}，95% 区"
    "间（{low_high}）包含一半。",
    "wins_few": "提示太少，不足以下结论（至少要 {least} 个）：与训练前的模型相比，它在 {prompts} 个留出提示上的胜率"
    "为 {rate}（95% 区间 {low_high}）。",
    "scored_few": "提示太少，不足以下结论（至少要 {least} 个）：按{proxy}，它在 {prompts} 个留出提示上对训练前模型的"
    "胜率为 {rate}（95% 区间 {low_high}）。",
    "wins_by_hidden": "隐藏分数更高的回答获胜；平局算一半。",
    "wins_by_proxy": "这不说明人们喜欢这些回答：请去问他们。",
    "wins_by_people": "在对这个模型的 {count} 次留出评判中，人们有 {rate} 更喜欢它的回答而不是训练前模型的回答"
    "（95% 区间 {low_high}）。",
    "kept_one": "留出的评判选中了第 {kept} 次更新（共 {last} 次）时的模型：本页各处的“训练后”都指它。",
    "kept_start": "留出的评判没有发现 {last} 次更新中有哪一次明显好于训练前，因此保留了训练前的模型：本页各处的“训练"
    "后”都指它。",
    "over_warning": "过度优化：{proxy}仍在上升，而回答变差了。见下文“奖励被钻空子了吗？”。",
    "over_escaped": "后来{proxy}仍在上升，而回答变差了（过度优化）；保留的模型来自那之前。",
    "samples": "亲自读一读",
    "samples_say": "对留出提示的回答，提示未经人工挑选：训练前的模型、训练后的模型，以及训练前模型的 {draws} 个"
    "回答中由{proxy}选出的最好一个。",
    "samples_colours": "每个词元标出它使学到的奖励变化多少：蓝色实线表示提高，橙色点线表示降低，颜色越深变化越"
    "大。把鼠标放在词元上可看到数值。",
    "samples_more": "另外 {count} 个提示",
    "samples_means": "这 {count} 个提示的平均{measure}：训练前 {before}，训练后 {after}，{draws} 选 1 为 {best}。",
    "best_of": "{draws} 选 1",
    "end_mark": "结束",
    "lowers": "降低奖励",
    "raises": "提高奖励",
    "scores": "学习过程中的分数",
    "scores_say": "{prompts} 个始终相同的留出提示上的平均（点）；浅色线是练习时的回答。",
    "scores_interval": "色带是平均值的 95% 区间。隐藏分数上升，而不只是{proxy}上升，才说明学习有效。",
    "scores_alone": "这里没有隐藏分数：只要训练起作用，{proxy}就会上升，因此单凭它上升并不说明回答更好。",
    "scores_unit": "{proxy}以训练前模型的回答的平均为零点，以其标准差为单位。",
    "scores_none": "还没有任何测量。",
    "over": "奖励被钻空子了吗？",
    "over_say": "每个点是一次在留出提示上的评估，按训练顺序相连，横轴是模型离训练前的模型有多远。两个分数都上升时，"
    "{proxy}是可靠的向导；如果它继续上升而隐藏分数下降，模型就只学会了讨好这个奖励：过度优化。",
    "over_say_people": "每个点是一次在留出提示上的评估，按训练顺序相连，横轴是模型离训练前的模型有多远。如果{proxy}"
    "继续上升而人们越来越不喜欢这些回答，模型就只学会了讨好这个奖励：过度优化。",
    "over_no_kl": "没有测量模型移动了多远，因此这里没有图。",
    "over_hidden_seen": "可以看到过度优化：自第 {peak} 次更新以来，隐藏分数从 {high} 降到 {now}，而{proxy}从 "
    "{proxy_high} 升到 {proxy_now}（相邻评估的平均）。",
    "over_hidden_unseen": "没有看到过度优化：隐藏分数在第 {peak} 次更新前后最高（{high}），最后为 {now}，同时"
    "{proxy}从 {proxy_high} 变为 {proxy_now}（相邻评估的平均）。",
    "over_people_seen": "可以看到过度优化：自第 {peak} 次更新以来，留出评判的胜率从 {high} 降到 {now}，而"
    "{proxy}从 {proxy_high} 升到 {proxy_now}（相邻检查的平均）。",
    "over_people_unseen": "没有看到过度优化：留出评判的胜率在第 {peak} 次更新前后最高（{high}），最后为 {now}，"
    "同时{proxy}从 {proxy_high} 变为 {proxy_now}（相邻检查的平均）。",
    "over_unknown": "无法判断奖励是否被钻了空子：这需要四次带隐藏分数的评估，或四次留出评判的检查（watch.every）。",
    "judged": "留出评判的胜率",
    "judged_say": "每次检查时，人们把 {count} 个新回答与训练前模型的回答相比；没有任何东西从这些评判学习。",
    "as_good": "与训练前一样好",
    "kl_axis": "KL，每个回答（纳特）",
    "newest": "◆ 最新",
    "kept": "○ 保留：第 {update} 次更新",
    "distance": "模型走了多远",
    "distance_say": "KL 表示它的回答与训练前的模型的回答相差多少（0：毫无差别）。熵表示它对下一个词元有多犹豫：接近"
    " 0 时它总说同样的话。点：留出提示；浅色线：练习时的回答。",
    "best_of_n": "从未训练的模型的 {draws} 个回答中选最好的一个，最多花费 {best} 纳特，而且不需要训练；训练后的"
    "模型在 {kl} 纳特处。",
    "best_level": "{draws} 选 1：{kl}",
    "kl_per_answer": "KL，每个回答（纳特）",
    "kl_reference": "离参考模型的 KL，每个回答（纳特）",
    "entropy": "熵，每个词元（纳特）",
    "drift": "回答变长了或重复了吗？",
    "drift_say": "奖励模型常常偏爱长回答，而语言模型会发现这一点。“被截断”是达到 {cap} 个词元上限的回答；“重复”"
    "是回答中已经说过的三词元序列所占的比例。点：留出提示；浅色线：练习时的回答。",
    "drift_longer": "回答从 {before} 个词元变长到 {now} 个：看看它们是说得更多了，还是只是话更多了。",
    "drift_shorter": "回答从 {before} 个词元变短到 {now} 个：看看它们是否仍说出了需要说的。",
    "drift_capped": "现在有 {now} 的回答被截断（训练前 {before}）：请提高 language.answer_tokens，或让长度有代"
    "价。",
    "drift_repetition": "现在所说的话有 {now} 是重复的（训练前 {before}）：这通常说明奖励被钻了空子。",
    "drift_none": "长度和重复都没有很大变化。",
    "tokens": "每个回答的词元数",
    "capped": "被截断",
    "repetition": "重复",
    "agree_answers": "{proxy}与隐藏分数想要的一样吗？",
    "agree_answers_say": "每个点是对一个留出提示的回答，横轴是隐藏分数，纵轴是{proxy}：点云上升说明两者想要的一"
    "样。",
    "agree_answers_number": "等级相关系数：训练前 {before}，训练后 {after}，全部点 {all}（1：顺序相同，0：无关，"
    "−1：相反）。",
    "agree_answers_low": "在训练后模型的回答中，两者几乎不一致：继续用这个奖励训练可能使它变差。请就它最新的回"
    "答再提问。",
    "agree_answers_one": "训练后模型的所有回答在其中一种分数上都相同，没有顺序可以比较。",
    "model_before": "训练前",
    "model_after": "训练后",
    "joint_what": "{name}，{algorithm}",
    "joint_better": "变好",
    "joint_worse": "变差",
    "joint_unclear": "没有明显变化",
    "joint_few": "提示太少，无法判断",
    "joint_unknown": "未完成",
    "win_rate": "胜率",
    "joint_title": "从人的反馈中学习",
    "joint_rlhf": "在基于人类反馈的强化学习（RLHF）中，人们每次看到两段行为，说出哪一个更好。奖励模型从他们的回"
    "答中学会预见他们会选哪一个。然后策略学着更多地去做奖励模型评分高的事，而人们继续就它最新的行为作出回答。",
    "joint_halves": "下面的运行做的是同一件事，用的是同一套东西：同样的问题与回答，同样的偏好公式，同样的优化算"
    "法。不同的只是行为是什么：在控制中是一段动作，在语言中是对提示的回答。",
    "joint_contents": "目录",
    "joint_summary": "概览",
    "joint_summary_say": "“真实回报”和“隐藏分数”只用来检验结果，在由人来教的地方，没有任何东西从它们学习。",
    "joint_run": "运行",
    "joint_measure": "衡量标准",
    "joint_change": "训练前 → 训练后",
    "joint_verdict": "结论",
    "joint_half": "{half} · {title}",
    "joint_control": "控制",
    "joint_language": "语言",
    "joint_wins": "{verdict}（胜率 {rate}，95% 区间 {low_high}）",
    "seeds_wins": "胜率是与训练前的模型相比；平局算一半。",
}
