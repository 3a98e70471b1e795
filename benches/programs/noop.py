"""Programs that do nothing: what is measured is the worker, the protocol and the process."""

import dspy


class InThreads(dspy.Module):
    def forward(self, text: str):
        return dspy.Prediction(reply=text)


class InLoop(dspy.Module):
    async def aforward(self, text: str):
        return dspy.Prediction(reply=text)
