"""The modules of a case, and how they are called."""
import dspy


STRATEGIES = ("best_of_n", "refine", "majority", "multi_chain_comparison")
# The names of modules in program files.
NAMES = {"Predict": "predict", "ChainOfThought": "chain_of_thought"}


def made(told, signature, config):
    """The module of a case's description, and its predictor that is shown the demos."""
    name = inner_of(told)
    module = getattr(dspy, name)(signature, **config)
    return module, module.predictors()[0]


def inner_of(told):
    if isinstance(told, str):
        return told
    return next(told[name] for name in STRATEGIES if name in told)


def run(told, module, signature, inputs, config):
    """What a call gives; `config` is of this call only."""
    if isinstance(told, str):
        return module(**inputs, config=config)
    if "best_of_n" in told:
        best = dspy.BestOfN(module, told["n"], lambda given, it: len(str(it[told["field"]])), told["threshold"],
                            told.get("fail_count"))
        return best(**inputs, config=config)
    if "refine" in told:
        refined = dspy.Refine(module, told["n"], lambda given, it: float(len(str(it[told["field"]]))),
                              told["threshold"], told.get("fail_count"))
        # The source of the program and of the reward is what the engine has other words for.
        asked = module.predictors()[0].signature
        fields = [", ".join(it) for it in (asked.input_fields, asked.output_fields)]
        refined.module_code = f"{NAMES[told['refine']]}({fields[0]} -> {fields[1]})"
        refined.reward_fn_code = f"reward = len(str({told['field']}))"
        return refined(**inputs)
    if "majority" in told:
        answers = module(**inputs, config={**config, "n": told["n"]})
        return dspy.majority(answers, field=told["field"])
    answers = module(**inputs, config={**config, "n": told["m"]})
    weighs = dspy.MultiChainComparison(signature, M=told["m"])
    return weighs(answers.completions, **inputs, config=config)
