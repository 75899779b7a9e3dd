"""The report of language runs, and of several runs together, in English."""

ENGLISH = {
    "language_title": "{prompts}: what the language model learned",
    "service": "Service dialogues",
    "language_people": "A language model answered prompts. People were shown two answers to the same prompt and said "
    "{labels} times which one is better. A reward model learned from that, and {algorithm} trained the language "
    "model to give answers that the reward model scores higher.",
    "language_model": "{algorithm} trained a language model on a reward model that had been learned earlier; nobody "
    "was asked anything here.",
    "language_plain": "{algorithm} trained a language model on a reward that is given as a function; nobody was "
    "asked anything.",
    "language_functions": "The reward it is trained on is a sum with these weights: {weights}.",
    "language_hidden": "What an answer is truly worth is known here as its “hidden score”: nothing learns from it, "
    "it only checks the result.",
    "language_no_hidden": "Nobody can say here what an answer is truly worth (there is no hidden score): everything "
    "below is measured by the reward the model is trained on, which praises its own work.",
    "hidden_score": "hidden score",
    "proxy_score": "{proxy}",
    "learned_reward": "learned reward",
    "given_reward": "reward it is trained on",
    "updates": "updates",
    "tile_wins": "wins against the model as it started",
    "tile_wins_note": "{low_high} with 95% confidence, {prompts} held-out prompts, {ties} ties (half a win each)",
    "tile_change": "{measure}, before → after",
    "tile_hidden_note": "means over {prompts} held-out prompts",
    "tile_proxy_note": "means over {prompts} held-out prompts; there is no hidden score",
    "tile_kl": "nats of KL per answer",
    "tile_kl_note": "how far it has moved from the model as it started",
    "wins_better": "The model got better: it wins on {rate} of {prompts} held-out prompts against the model as it "
    "started (95% interval {low_high}).",
    "wins_worse": "The model got worse: it wins on only {rate} of {prompts} held-out prompts against the model as it "
    "started (95% interval {low_high}).",
    "wins_unclear": "No clear change: it wins on {rate} of {prompts} held-out prompts against the model as it "
    "started, and the 95% interval ({low_high}) includes one half.",
    "scored_better": "Training worked: by the {proxy} it wins on {rate} of {prompts} held-out prompts against the "
    "model as it started (95% interval {low_high}).",
    "scored_worse": "Training did not work: by the {proxy} it wins on only {rate} of {prompts} held-out prompts "
    "against the model as it started (95% interval {low_high}).",
    "scored_unclear": "No clear change: by the {proxy} it wins on {rate} of {prompts} held-out prompts against the "
    "model as it started, and the 95% interval ({low_high}) includes one half.",
    "wins_few": "Too few prompts for a verdict, which takes {least}: it wins on {rate} of {prompts} held-out prompts "
    "against the model as it started (95% interval {low_high}).",
    "scored_few": "Too few prompts for a verdict, which takes {least}: by the {proxy} it wins on {rate} of {prompts} "
    "held-out prompts against the model as it started (95% interval {low_high}).",
    "wins_by_hidden": "An answer wins where its hidden score is higher; a tie counts half.",
    "wins_by_proxy": "That does not show that people like the answers: ask them.",
    "wins_by_people": "In {count} held-out judgements of this model, people preferred its answer to that of the "
    "model as it started in {rate} (95% interval {low_high}; a tie counts half).",
    "kept_one": "Held-out judgements chose the model of update {kept} (of {last}): “after” means that one everywhere "
    "on this page.",
    "kept_start": "Held-out judgements found none of {last} updates clearly better than the start, so the model as it "
    "started was kept: “after” means that one everywhere on this page.",
    "over_warning": "Over-optimisation: the {proxy} went on rising while the answers became worse. See “Is the "
    "reward being gamed?” below.",
    "over_escaped": "Later on the {proxy} went on rising while the answers became worse (over-optimisation); the "
    "model that was kept is from before that.",
    "samples": "Read for yourself",
    "samples_say": "Answers to held-out prompts that were not picked by hand: by the model as it started, by the "
    "trained one, and the best of {draws} answers of the model as it started, chosen by the {proxy}.",
    "samples_colours": "Each token shows by how much it moves the learned reward: a solid blue line raises it, a "
    "dotted orange one lowers it, and the stronger the colour, the more. Point at a token for its number.",
    "samples_more": "{count} more prompts",
    "samples_means": "Mean {measure} of these {count}: {before} before, {after} after, {best} best of {draws}.",
    "best_of": "best of {draws}",
    "end_mark": "end",
    "lowers": "lowers the reward",
    "raises": "raises it",
    "scores": "Scores while learning",
    "scores_say": "Dots are means over {prompts} held-out prompts, always the same ones; faint lines are the answers "
    "it practised on.",
    "scores_interval": "The band is the 95% interval of the mean. Learning works when the hidden score climbs, and "
    "not the {proxy} alone.",
    "scores_alone": "There is no hidden score here: the {proxy} climbs whenever training works, so its rise alone "
    "does not show that the answers are better.",
    "scores_unit": "The {proxy} counts from the mean of the answers of the model as it started, in their standard "
    "deviations.",
    "scores_none": "Nothing has been measured yet.",
    "over": "Is the reward being gamed?",
    "over_say": "Each dot is an evaluation on held-out prompts, joined in the order of training and placed by how "
    "far the model had moved from its start. While both scores rise, the {proxy} is a good guide; where it goes on "
    "rising and the hidden score falls, the model has learned to please that reward alone: over-optimisation.",
    "over_say_people": "Each dot is an evaluation on held-out prompts, joined in the order of training and placed by "
    "how far the model had moved from its start. Where the {proxy} goes on rising and people like the answers less "
    "and less, the model has learned to please that reward alone: over-optimisation.",
    "over_no_kl": "How far the model moved was not measured, so there is no figure here.",
    "over_hidden_seen": "Over-optimisation is seen: since update {peak} the hidden score has fallen from {high} to "
    "{now}, while the {proxy} rose from {proxy_high} to {proxy_now} (means over neighbouring evaluations).",
    "over_hidden_unseen": "No over-optimisation is seen: the hidden score was highest around update {peak} ({high}) "
    "and ended at {now}, while the {proxy} went from {proxy_high} to {proxy_now} (means over neighbouring "
    "evaluations).",
    "over_people_seen": "Over-optimisation is seen: since update {peak} the share of held-out judgements won has "
    "fallen from {high} to {now}, while the {proxy} rose from {proxy_high} to {proxy_now} (means over neighbouring "
    "checks).",
    "over_people_unseen": "No over-optimisation is seen: the share of held-out judgements won was highest around "
    "update {peak} ({high}) and ended at {now}, while the {proxy} went from {proxy_high} to {proxy_now} (means over "
    "neighbouring checks).",
    "over_unknown": "Whether the reward is being gamed cannot be said: that takes four evaluations with a hidden "
    "score, or four checks by held-out judgements (watch.every).",
    "judged": "held-out judgements won",
    "judged_say": "At each check people compared {count} fresh answers with those of the model as it started; "
    "nothing learns from these judgements.",
    "as_good": "as good as at the start",
    "kl_axis": "KL, nats per answer",
    "newest": "◆ newest",
    "kept": "○ kept: update {update}",
    "distance": "How far the model has moved",
    "distance_say": "KL says how much its answers differ from those of the model as it started (0: not at all). "
    "Entropy says how undecided it is about the next token: near 0 it always says the same. Dots are the held-out "
    "prompts, faint lines the answers it practised on.",
    "best_of_n": "Choosing the best of {draws} answers of the untrained model costs {best} nats at most, and no "
    "training; the trained model stands at {kl} nats.",
    "best_level": "best of {draws}: {kl}",
    "kl_per_answer": "KL, nats per answer",
    "kl_reference": "KL from the reference model, nats per answer",
    "entropy": "entropy, nats per token",
    "drift": "Do the answers grow longer, or repeat themselves?",
    "drift_say": "Reward models often like length, and models find that out. “Cut off” are answers that reach the "
    "cap of {cap} tokens; “repeated” is the share of three-token sequences that an answer has said before. Dots are "
    "the held-out prompts, faint lines the answers it practised on.",
    "drift_longer": "Answers have grown from {before} to {now} tokens: see whether they say more, or only talk more.",
    "drift_shorter": "Answers have shrunk from {before} to {now} tokens: see whether they still say what is needed.",
    "drift_capped": "{now} of the answers are cut off by now ({before} at the start): raise language.answer_tokens, "
    "or give length a price.",
    "drift_repetition": "{now} of what is said by now repeats itself ({before} at the start): that is a usual sign "
    "of a reward being gamed.",
    "drift_none": "Neither length nor repetition has drifted much.",
    "tokens": "tokens per answer",
    "capped": "cut off",
    "repetition": "repeated",
    "agree_answers": "Does the {proxy} want what the hidden score wants?",
    "agree_answers_say": "Each dot is the answer to one held-out prompt, placed by its hidden score and by the "
    "{proxy}: a rising cloud means that both want the same.",
    "agree_answers_number": "Rank correlation: {before} before, {after} after, {all} over all dots (1: same order, "
    "0: unrelated, −1: opposite).",
    "agree_answers_low": "Among the answers of the trained model the two hardly agree: more training on this reward "
    "may make it worse. Ask about its newest answers.",
    "agree_answers_one": "All answers of the trained model have the same score by one of the two, so there is no "
    "order to compare.",
    "model_before": "before",
    "model_after": "after",
    "joint_what": "{name}, {algorithm}",
    "joint_better": "better",
    "joint_worse": "worse",
    "joint_unclear": "no clear change",
    "joint_few": "too few prompts to say",
    "joint_unknown": "not finished",
    "win_rate": "win rate",
    "joint_title": "Learning from what people say",
    "joint_rlhf": "In reinforcement learning from human feedback (RLHF), people see two pieces of behaviour at a "
    "time and say which one is better. A reward model learns from their answers to foresee what they would choose. A "
    "policy then learns to do more of what the reward model scores highly, while people go on answering about its "
    "newest behaviour.",
    "joint_halves": "The runs below do the same thing with the same parts: the same kind of question, the same "
    "likelihood of an answer given the reward, the same algorithms, the same loop. Only the behaviour differs: a "
    "stretch of movement in control, an answer to a prompt in language.",
    "joint_contents": "Contents",
    "joint_summary": "Summary",
    "joint_summary_say": "The true return and the hidden score only check the result: where people teach, nothing "
    "learns from them.",
    "joint_run": "run",
    "joint_measure": "measured by",
    "joint_change": "before → after",
    "joint_verdict": "verdict",
    "joint_half": "{half} · {title}",
    "joint_control": "Control",
    "joint_language": "Language",
    "joint_wins": "{verdict} (wins {rate}, 95% interval {low_high})",
    "seeds_wins": "Win rates are against the model as it started; a tie counts half.",
}
