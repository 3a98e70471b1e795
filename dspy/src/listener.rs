//! One call of a model, as it is told: the texts of its fields out of the growing reply, and in the
//! end what was read from it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use crate::{
    Fields, Progress, Told,
    adapter::{Format, splitter::Splitter},
};

/// Who asks, and for which texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asker {
    /// The predictor, by its path in the program.
    pub predictor: String,
    /// The package's name of the adapter. Of one that is not known, nothing is told before the end.
    pub adapter: String,
    /// The outputs that are texts and stand in the reply's text.
    pub texts: Vec<String>,
    /// The output that takes the model's own reasoning.
    pub reasoning: Option<String>,
}

/// What becomes of a reply while it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Growth<'a> {
    /// It begins. What came before was another one, and is void.
    Begin,
    /// More of its text.
    Text(&'a str),
    /// More of the model's reasoning.
    Reasoning(&'a str),
}

/// Listens to one call of a model, and tells of it.
pub struct Listener<'a> {
    progress: &'a Progress,
    asker: Asker,
    call: u64,
    heard: Mutex<Heard>,
}

struct Heard {
    splitter: Option<Splitter>,
    /// What was told of each field; the reasoning is the last.
    told: Vec<(String, Text)>,
}

#[derive(Debug, Default)]
struct Text {
    text: String,
    chars: usize,
}

impl Asker {
    fn splitter(&self) -> Option<Splitter> {
        Splitter::new(Format::named(&self.adapter)?, &self.texts)
    }

    fn heard(&self) -> Heard {
        let fields = self.texts.iter().chain(&self.reasoning);
        let told = fields.map(|it| (it.clone(), Text::default())).collect();
        Heard { splitter: self.splitter(), told }
    }
}

impl<'a> Listener<'a> {
    /// Listens to the next call.
    pub fn new(progress: &'a Progress, asker: Asker) -> Self {
        let heard = Mutex::new(asker.heard());
        Self { progress, call: progress.next_call(), heard, asker }
    }

    /// Hears how the reply grows.
    pub fn hear(&self, growth: Growth<'_>) {
        let heard = &mut *self.heard();
        match growth {
            Growth::Begin => self.restart(heard),
            Growth::Text(text) => {
                let Heard { splitter: Some(splitter), told } = heard else { return };
                splitter.push(text, &mut |at, delta| self.tell(&mut told[at], delta));
            }
            Growth::Reasoning(text) if self.asker.reasoning.is_some() => {
                if let Some(own) = heard.told.last_mut() {
                    self.tell(own, text);
                }
            }
            Growth::Reasoning(_) => {}
        }
    }

    /// Tells what was read from the reply: of each text what is missing, then all.
    pub fn read(&self, outputs: &Fields) {
        let heard = &mut *self.heard();
        let text_of = |name: &str| outputs.get(name).and_then(Value::as_str);
        let was_misheard = heard
            .told
            .iter()
            .any(|(name, own)| !text_of(name).unwrap_or_default().starts_with(&own.text));
        if was_misheard {
            self.restart(heard);
        }
        for own in &mut heard.told {
            let rest = text_of(&own.0).and_then(|it| it.get(own.1.text.len()..));
            if let Some(rest) = rest.filter(|it| !it.is_empty()) {
                self.tell(own, rest);
            }
        }
        self.progress.tell(Told::Outputs {
            predictor: self.asker.predictor.clone(),
            call: self.call,
            outputs: outputs.clone(),
        });
    }

    /// Nothing could be made of the reply, or there is none.
    pub fn fail(&self) {
        self.restart(&mut self.heard());
    }

    fn tell(&self, (field, own): &mut (String, Text), delta: &str) {
        let (predictor, delta) = (self.asker.predictor.clone(), delta.to_owned());
        let offset = own.chars;
        own.chars += delta.chars().count();
        own.text.push_str(&delta);
        let (call, field) = (self.call, field.clone());
        self.progress.tell(Told::Field { predictor, call, field, offset, delta });
    }

    /// Says that what was told is void, if something was.
    fn restart(&self, heard: &mut Heard) {
        let was_told = heard.told.iter().any(|(_, own)| !own.text.is_empty());
        *heard = self.asker.heard();
        if was_told {
            let predictor = self.asker.predictor.clone();
            self.progress.tell(Told::Restart { predictor, call: self.call });
        }
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
