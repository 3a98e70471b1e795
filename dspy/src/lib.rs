//! dspy
