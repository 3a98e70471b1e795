//! Backslashes in text.

use super::{
    parser::{Parser, STRING_DELIMITERS},
    string::Text,
};
use crate::python::code_point;

impl Parser {
    /// Normalises the escape whose backslash was just kept; whether there was one.
    pub(super) fn normalize_escape(&mut self, state: &mut Text, c: char) -> bool {
        if state.low_spans > 0 && c == '"' {
            state.replace_backslash(&['"']);
            state.low_spans -= 1;
            self.index += 1;
            return true;
        }
        if c == '\\' && self.normalize_backslash_run(state) {
            return true;
        }
        if state.is_active_close(c) || matches!(c, 't' | 'n' | 'r' | 'b' | '\\') {
            self.normalize_simple_escape(state, c);
            return true;
        }
        if matches!(c, 'u' | 'x') {
            return self.normalize_code(state, if c == 'u' { 4 } else { 2 });
        }
        let is_needless = c == '„' || (STRING_DELIMITERS.contains(&c) && !state.is_active_close(c));
        if is_needless {
            state.replace_backslash(&[c]);
            self.index += 1;
        }
        is_needless
    }

    fn normalize_backslash_run(&mut self, state: &mut Text) -> bool {
        let start = self.index - 1;
        let run = self.text[start..].iter().take_while(|c| **c == '\\').count();
        let end = start + run;
        let behind = end.cast_signed() - self.index.cast_signed();
        let closes = self.char_at(behind).is_some_and(|c| state.is_active_close(c));
        let after = self.char_at(self.scroll(behind + 1));
        let ends_value = after.is_none_or(|c| matches!(c, ',' | ':' | '}' | ']'));
        let is_even = run % 2 == 0 && (!closes || ends_value);
        if is_even {
            state.replace_backslash(&vec!['\\'; run / 2]);
            self.index = end;
        }
        is_even
    }

    fn normalize_simple_escape(&mut self, state: &mut Text, c: char) {
        let plain = match c {
            't' => '\t',
            'n' => '\n',
            'r' => '\r',
            'b' => '\u{8}',
            c => c,
        };
        state.replace_backslash(&[plain]);
        self.index += 1;
        while let Some(next) = self.here() {
            let is_again = next == '\\' || state.is_active_close(next);
            if !(state.ends_with('\\') && is_again) {
                return;
            }
            state.replace_backslash(&[next]);
            self.index += 1;
        }
    }

    fn normalize_code(&mut self, state: &mut Text, count: usize) -> bool {
        let start = self.index + 1;
        let digits = self.text.get(start..start + count).unwrap_or_default();
        let Some(code) = code_point::hex(digits.iter().copied()) else { return false };
        let (c, more) = code_point::paired(code, self.text[start + count..].iter().copied());
        state.replace_backslash(&[c]);
        self.index = start + count + more;
        true
    }
}
