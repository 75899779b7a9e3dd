"""The report in English."""

ENGLISH = {
    "title": "{environment}: what was learned",
    "seeds_title": "{environment}: {seeds} runs with different seeds",
    "from_people": "People were shown pairs of short clips and said {labels} times which one is better. A reward "
    "model learned from their answers, and {algorithm} made the policy do more of what the model rewards.",
    "simulated_one": "The answers came from a simulated person.",
    "simulated": "The answers came from {people} simulated people.",
    "no_reward_seen": "The policy never saw the environment's own reward: it appears below as the “true return” only "
    "to check the result.",
    "mixed_reward": "The environment's own reward took part as well (weights: {weights}).",
    "from_model": "{algorithm} trained the policy on a reward model that had been learned earlier.",
    "plain": "{algorithm} trained the policy on the environment's own reward; nobody was asked anything.",
    "before": "before",
    "after": "after",
    "tile_return": "true return per episode, before → after",
    "tile_return_note": "± {before_std} and ± {after_std} between episodes ({before} and {after} of them, most "
    "likely actions)",
    "tile_labels": "answers of people",
    "tile_labels_note": "all that were planned",
    "tile_labels_part": "of {planned} planned",
    "tile_steps": "environment steps",
    "tile_steps_note": "in {time}",
    "tile_steps_part": "of {planned} planned, in {time}",
    "tile_forecast": "of new answers foreseen",
    "tile_forecast_note": "{low_high} with 95% confidence, {count} answers",
    "minutes": "{count} min",
    "seconds": "{count} s",
    "verdict_better": "The policy got better: its true return rose by {gain} (95% interval {low} to {high}).",
    "verdict_worse": "The policy got worse: its true return fell by {gain} (95% interval {low} to {high}).",
    "own_wish": "Real people answered. The true return is what the task itself pays, which need not be what they "
    "wanted: the clips below tell more. {labels} answers taught this policy; with more of them it becomes steadier.",
    "misled": "What it was rewarded for is not what the true reward wants: look at the learned reward below.",
    "verdict_unclear": "No clear change: the true return moved by {gain}, but the 95% interval of that ({low} to "
    "{high}) includes zero.",
    "verdict_unknown": "The run did not get far enough to say whether the policy changed.",
    "one_seed": "This is one run with one seed. Luck moves such results: before claiming anything, repeat it with "
    "several seeds (--seeds 5).",
    "status_running": "This run is still going, or its process was killed. The page shows what there is so far; go "
    "on with: plaudit resume {path}",
    "status_stopped": "This run was stopped. The page shows what there is so far; go on with: plaudit resume {path}",
    "status_failed": "This run failed: {error}",
    "trouble": "Left out: {reason}",
    "clips": "See for yourself",
    "clips_say": "Both clips begin in the same state: of {starts} drawn at random, the one from which the trained "
    "policy reaches the middle return.",
    "clip_caption": "{which}: true return {value}",
    "clip_part": " (first {steps} steps)",
    "no_clip": "No clips here: {reason}",
    "curve": "True return while learning",
    "curve_say": "The environment's own reward, summed over an episode, as the policy practised: the thick line is "
    "an average over neighbouring updates, and learning works when it climbs.",
    "curve_say_people": " Orange marks on the axis are the moments when new answers came in.",
    "curve_none": "No episode has ended yet, so there is no true return to show.",
    "steps": "environment steps",
    "true_return": "true return",
    "answers": "answers",
    "average": "average",
    "evaluated": "evaluation, most likely actions ± spread",
    "asked": "new answers",
    "by_labels": "True return against answers",
    "by_labels_say": "The mean true return of the episodes played while the reward model had learned from so many "
    "answers: a curve that still climbs at its right end suggests that more answers would help.",
    "by_labels_end": "at the end of the run",
    "agree": "Does the learned reward want the same as the true one?",
    "agree_say_segments": "Each dot is a stretch of {length} steps, placed by what it is worth by the true reward "
    "and by the learned one: a rising cloud means both want the same (only the order counts; the scale of a learned "
    "reward means nothing).",
    "agree_say_episodes": "Each dot is an episode, placed by what it is worth by the true reward and by the learned "
    "one: a rising cloud means both want the same (only the order counts; the scale of a learned reward means "
    "nothing).",
    "agree_number": "Rank correlation: {all} over all dots, {after} among those of the trained policy (1: same "
    "order, 0: unrelated, −1: opposite).",
    "agree_low": "Within what the trained policy does the two hardly agree: more training on this reward may make "
    "the policy worse. Ask about its newest behaviour.",
    "agree_one": "The trained policy's stretches all have the same true return, so there is no order to compare.",
    "learned_return": "learned return",
    "policy_before": "policy before",
    "policy_after": "policy after",
    "accuracy": "Does the reward model foresee answers?",
    "accuracy_say": "Before learning from new answers the model guessed them: each dot is the share it got right "
    "among {group} or more new answers, with the range that chance allows (95%); the dashed line is tossing a coin.",
    "accuracy_number": "All in all it foresaw {share} of {count} answers ({low_high}).",
    "accuracy_fit": " On answers it has already learned from it is right more often (green): a gap that stays means "
    "that it learns them by heart.",
    "accuracy_watched": " Of these, {count} are held-out judgements, which nothing learns from: it foresaw {share} "
    "of them.",
    "accuracy_none": "The model has not yet been tried on new answers: that takes a second round of questions.",
    "foreseen": "share of answers foreseen",
    "fresh": "new answers",
    "fitted": "answers it learned from",
    "coin": "coin toss",
    "calibration": "Can its confidence be trusted?",
    "calibration_say": "New answers are sorted by the probability the model gave to “the first is better”: dots on "
    "the dashed line mean that this came true as often as forecast; the bars below count the answers.",
    "calibration_number": "Brier score {brier} (0: perfect); always forecasting the share of firsts ({base}) would "
    "score {base_brier}. Recalibration slope {slope} (95% interval {low} to {high}), intercept {intercept}.",
    "overconfident": "The slope is below 1: the model is too sure of itself.",
    "underconfident": "The slope is above 1: the model is more often right than it claims.",
    "calibrated": "The interval includes 1: these answers do not show the model to be too sure or too timid.",
    "calibration_few": "With {count} new answers there are too few to judge this.",
    "forecast": "forecast that the first is better",
    "came_true": "the first was preferred",
    "count": "number of answers",
    "said": "What people said",
    "said_say": "Every answer counts once; a healthy left-hand share is near one half, because sides are shuffled.",
    "person": "person",
    "everyone": "everyone",
    "first": "first",
    "second": "second",
    "equal": "equal",
    "both_bad": "both bad",
    "skip": "skipped",
    "total": "answers",
    "left": "chose left",
    "rates": "What the simulated people really did: {mistakes} of their decided answers were slips, {equal} were "
    "“equal”, {skip} were skipped, and {agreement} of the decided ones agree with the true return.",
    "rates_hidden": "What the simulated people really did: {mistakes} of their decided answers were slips, {equal} "
    "were “equal”, {skip} were skipped, and {agreement} of the decided ones agree with the hidden score.",
    "said_held_out": "{count} of these answers only check (held-out judgements, repeats): nothing learns from them.",
    "details": "Settings, versions and last metrics",
    "run": "Run",
    "config": "Settings (config.yaml)",
    "versions": "Versions",
    "metrics": "Metrics of the last update",
    "status": "status",
    "seed": "seed",
    "threads": "threads",
    "folder": "folder",
    "seeds_say": "The line is the mean over {seeds} seeds and the band its 95% interval (Student's t); the thin "
    "lines are the single runs.",
    "seeds_result": "At the end: {measure} {mean} (95% interval {low} to {high}), lowest seed {worst}.",
    "seeds_result_one": "Only one run is finished: {measure} {mean}. An interval needs two or more.",
    "seeds_none": "None of the runs is finished yet.",
    "seeds_table": "The runs",
    "mean_of_seeds": "mean of the seeds, 95% interval",
    "final": "{measure} at the end",
}
