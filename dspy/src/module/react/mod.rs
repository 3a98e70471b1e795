//! `dspy.ReAct`: an agent that thinks, calls a tool, looks at what it gave, and so on; at the end
//! the outputs are extracted from what happened.

mod prompt;
mod trajectory;

use std::time::Instant;

use serde_json::Value;

use super::{Made, ModuleKind, Notes, Predictor, call::ms_since, predict};
use crate::{
    Adapter, Error, Fields, LmError, Run, Signature, Step, Tool, ToolError, ToolStep, Type,
    Uncaught, signature::without,
};
use trajectory::{Trajectory, Turn};

/// The name under which an agent says that it is done.
const FINISH: &str = "finish";

/// The turns of an agent that says nothing of them.
const MAX_ITERS: u32 = 20;

/// How often a prompt that is too long is tried with less of the trajectory.
const TRUNCATIONS_MAX: usize = 3;

/// An agent with tools. Make it with [`ReAct::new`] and set what differs.
#[derive(Clone, Debug, PartialEq)]
pub struct ReAct {
    /// The task: what it takes and gives.
    pub signature: Signature,
    /// Where its tools come from: sources of [`Run::tools`], in the order that the model is told.
    pub tools: Vec<String>,
    /// The most turns; then the outputs are extracted from what there is.
    pub max_iters: u32,
    /// Asked in each turn for a thought and a tool. While its instructions are empty, they are
    /// made of the task and of the tools when it runs; the names of the tools always are.
    pub react: Predictor,
    /// Asked for the outputs at the end.
    pub extract: Predictor,
}

impl ReAct {
    /// An agent for a task, with the tools of these sources.
    pub fn new(signature: Signature, tools: Vec<String>) -> Self {
        let (name, asked) = (signature.name.clone(), prompt::react(&signature));
        let react = Predictor::new(&name, asked, ModuleKind::Predict);
        let extract = prompt::extract(&signature);
        let extract = Predictor::new(&name, extract, ModuleKind::ChainOfThought);
        Self { signature, tools, max_iters: MAX_ITERS, react, extract }
    }

    /// What it takes and gives: `trajectory` and `reasoning` come before the outputs.
    pub fn full_signature(&self) -> Signature {
        let mut signature = without(&self.extract.full_signature(), trajectory::NAME);
        let ty = Type::Dict(Box::new(Type::Str), Box::new(Type::Any));
        signature.outputs.insert(0, crate::Field::new(trajectory::NAME, ty));
        signature
    }

    pub(super) async fn perform(
        &self,
        inputs: &Fields,
        run: Run<'_>,
        notes: &mut Notes,
    ) -> Result<Made, Error> {
        let (inputs, max_iters) = self.turns(inputs)?;
        let tools = self.list_tools(run).await?;
        let signature = prompt::with_tools(self, &tools);
        let mut trajectory = Trajectory::default();
        let segment = run.scope.segment("react");
        let run_react = Run { scope: run.scope.at(&segment), ..run };
        for turn in 0..max_iters {
            let mut asked = Asked { agent: self, inputs: &inputs, run: run_react, notes };
            let chosen = asked.about(&self.react.adapter, &mut trajectory, Some(&signature)).await;
            let turn = match chosen {
                Ok(made) => Turn::new(turn, made.outputs),
                Err(error) if ends_the_turns(&error) => {
                    notes.warnings.push(format!("Ending the trajectory: {error}"));
                    break;
                }
                Err(error) => return Err(error),
            };
            let observation = self.act(&turn, &tools, run_react).await;
            let is_last = turn.tool == FINISH;
            trajectory.add(turn, observation);
            if is_last {
                break;
            }
        }
        let segment = run.scope.segment("extract");
        let run = Run { scope: run.scope.at(&segment), ..run };
        let mut asked = Asked { agent: self, inputs: &inputs, run, notes };
        // The package writes every trajectory with the adapter of the context, of which a program
        // has one.
        let made = asked.about(&self.extract.adapter, &mut trajectory, None).await?;
        Ok(with_trajectory(trajectory, made.outputs).into())
    }

    /// The inputs without `max_iters`, which a call may give among them, as in the package.
    fn turns(&self, inputs: &Fields) -> Result<(Fields, u32), Error> {
        let mut inputs = inputs.clone();
        let Some(given) = inputs.shift_remove("max_iters") else {
            return Ok((inputs, self.max_iters));
        };
        let turns = given.as_i64().map(|it| u32::try_from(it.max(0)).unwrap_or(u32::MAX));
        let turns = turns.ok_or_else(|| Error::Program("max_iters is no whole number".into()))?;
        Ok((inputs, turns))
    }

    /// Its tools and `finish`, which takes the place of one of that name.
    async fn list_tools(&self, run: Run<'_>) -> Result<Vec<Tool>, Error> {
        let finish = prompt::finish(&self.signature);
        let mut tools: Vec<Tool> = Vec::new();
        for tool in run.tools.list(&self.tools).await?.into_iter().chain([finish]) {
            match tools.iter_mut().find(|it| it.name == tool.name) {
                Some(same) => *same = tool,
                None => tools.push(tool),
            }
        }
        Ok(tools)
    }

    /// What a tool gives, or the sentence that says why it gave nothing.
    async fn act(&self, turn: &Turn, tools: &[Tool], run: Run<'_>) -> Value {
        let started = Instant::now();
        let result = self.call(turn, tools, run).await;
        let error = result.as_ref().err();
        let error = error.map(|it| format!("Execution error in {}: {it}", turn.tool));
        run.trace.push(|| {
            Step::Tool(Box::new(ToolStep {
                predictor: run.scope.to_string(),
                name: turn.tool.clone(),
                args: turn.args.clone(),
                result: result.as_ref().ok().cloned(),
                error: error.clone(),
                at_ms: run.trace.ms_at(started),
                ms: ms_since(started),
            }))
        });
        result.unwrap_or_else(|_| error.unwrap_or_default().into())
    }

    async fn call(&self, turn: &Turn, tools: &[Tool], run: Run<'_>) -> Result<Value, ToolError> {
        let tool = tools.iter().find(|it| it.name == turn.tool);
        let tool = tool.ok_or_else(|| ToolError(format!("'{}'", turn.tool)))?;
        let args = tool.arguments(&turn.args)?;
        if tool.name == FINISH {
            return Ok("Completed.".into());
        }
        run.tools.call(&self.tools, &tool.name, &args).await
    }
}

/// One question about a trajectory.
struct Asked<'a> {
    agent: &'a ReAct,
    inputs: &'a Fields,
    run: Run<'a>,
    notes: &'a mut Notes,
}

impl Asked<'_> {
    /// Asks for the next turn, with a signature, or for the outputs, without; again with less of
    /// the trajectory while the prompt is too long.
    async fn about(
        &mut self,
        adapter: &Adapter,
        trajectory: &mut Trajectory,
        signature: Option<&Signature>,
    ) -> Result<Made, Error> {
        for _ in 0..TRUNCATIONS_MAX {
            let mut inputs = self.inputs.clone();
            inputs.insert(trajectory::NAME.to_owned(), trajectory.shown(adapter).into());
            let asked = match signature {
                Some(signature) => {
                    let react = &self.agent.react;
                    predict::run(react, signature, &inputs, self.run, self.notes).await
                }
                None => self.agent.extract.perform(&inputs, self.run, self.notes).await,
            };
            let Err(Error::Lm(LmError::ContextWindowExceeded(_))) = asked else { return asked };
            let warning = "Trajectory exceeded the context window, truncating the oldest tool \
                           call information.";
            self.notes.warnings.push(warning.to_owned());
            trajectory.truncate()?;
        }
        let message = "The context window was exceeded even after 3 attempts to truncate the \
                       trajectory.";
        Err(LmError::ContextWindowExceeded(message.to_owned()).into())
    }
}

/// Whether an error ends the turns only, and not the agent.
fn ends_the_turns(error: &Error) -> bool {
    match error {
        Error::Lm(LmError::ContextWindowExceeded(_)) => true,
        Error::Parse(error) => error.uncaught == Some(Uncaught::Value),
        Error::Lm(_)
        | Error::Inputs(_)
        | Error::Tools(_)
        | Error::Program(_)
        | Error::Step { .. } => false,
    }
}

fn with_trajectory(trajectory: Trajectory, outputs: Fields) -> Fields {
    let mut all = Fields::new();
    all.insert(trajectory::NAME.to_owned(), Value::Object(trajectory.into_fields()));
    all.extend(outputs);
    all
}
