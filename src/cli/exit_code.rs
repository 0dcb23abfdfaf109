//! The numbers the program ends with; the long help lists the same.

/// Why the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ExitCode {
    /// Done.
    Done = 0,
    /// The input cannot be used: unreadable, malformed, or refused by Istio's admission.
    Input = 1,
    /// The command line is wrong: unknown flag, value or workload.
    Usage = 2,
    /// The run ended early because too much work was in flight.
    EndedEarly = 3,
    /// The output could not be written.
    Output = 4,
    /// Something that the scenario expects does not hold.
    Expectation = 5,
    /// Nothing that is expected is broken, but something is undecided.
    Undecided = 6,
    /// `diff --exit-code`: something differs.
    Different = 7,
    /// `analyze`: something as grave as `--fail-on` says was found.
    Found = 8,
    /// Interrupted: what was simulated so far was reported. 128 + SIGINT, as shells count.
    Interrupted = 130,
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code as u8)
    }
}

/// Why a command stopped, with what is to be said about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The command line is wrong.
    Usage(String),
    /// The input cannot be used; the diagnostics are rendered already.
    Input(String),
    /// The output could not be written.
    Output(String),
}

impl Failure {
    /// Output that could not be written: to where, and why.
    pub(super) fn output(to: &str, error: &std::io::Error) -> Self {
        Self::Output(format!("cannot write {to}: {error}"))
    }

    /// The number to end with.
    pub(super) fn code(&self) -> ExitCode {
        match self {
            Self::Usage(_) => ExitCode::Usage,
            Self::Input(_) => ExitCode::Input,
            Self::Output(_) => ExitCode::Output,
        }
    }
}
