//! An MCP server over standard input, which keeps a record of what happens to it.

use std::path::{Path, PathBuf};

/// How to start the server of the tests, and where it keeps its record.
pub struct McpServer {
    log: PathBuf,
}

impl McpServer {
    /// One that keeps its record in a folder.
    pub fn in_folder(folder: &Path) -> Self {
        Self { log: folder.join("mcp-server.log") }
    }

    /// Its command, as a program file writes it.
    pub fn command(&self) -> String {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let python = here.join("../../target/venv/bin/python");
        assert!(python.exists(), "{} is missing: run scripts/test", python.display());
        let words = [python, here.join("mcp_server.py"), self.log.clone()];
        let words = words.map(|it| format!("'{}'", it.display()));
        format!("[{}]", words.join(", "))
    }

    /// What happened to it so far, a line each; those of servers before it too.
    pub fn record(&self) -> Vec<String> {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// How often something happened.
    pub fn count(&self, what: &str) -> usize {
        self.record().iter().filter(|it| it.starts_with(what)).count()
    }
}
