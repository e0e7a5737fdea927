//! Addresses of a deployed stack, from a file such as `.local/env` or from the environment.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use pulsegate_aws::{SdkConfig, sdk_config_of};

use crate::Problem;

/// The file that `make up` writes.
const DEFAULT_FILE: &str = ".local/env";

/// The variables of a stack.
#[derive(Clone)]
pub struct Stack {
    file: Option<PathBuf>,
    variables: BTreeMap<String, String>,
}

/// Prints names only, because some values are secrets.
impl std::fmt::Debug for Stack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Stack({:?}, {:?})", self.file, self.variables.keys())
    }
}

impl Stack {
    /// Reads this file; without one `.local/env`; without that the environment.
    ///
    /// # Errors
    /// [`Problem`], naming the file and what is wrong with it.
    pub fn read(file: Option<&Path>) -> Result<Self, Problem> {
        let default = Some(Path::new(DEFAULT_FILE)).filter(|file| file.exists());
        let Some(file) = file.or(default) else {
            return Ok(Self { file: None, variables: std::env::vars().collect() });
        };
        let text = std::fs::read_to_string(file).map_err(|e| Problem::File(file.display().to_string(), e))?;
        let variables = parse(&text).map_err(|line| {
            Problem::Wrong(format!("{}, line {line}, is not of the form NAME=VALUE", file.display()))
        })?;
        Ok(Self { file: Some(file.to_owned()), variables })
    }

    /// Reads the file again. `None` if the stack is from the environment, or the file cannot be read.
    pub fn again(&self) -> Option<Self> {
        Self::read(Some(self.file.as_deref()?)).ok()
    }

    /// A variable, or `None` if it is absent or empty.
    pub fn optional(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A variable.
    ///
    /// # Errors
    /// [`Problem::Wrong`] with the name of the variable and of the file.
    pub fn required(&self, name: &str) -> Result<&str, Problem> {
        self.optional(name).ok_or_else(|| self.lacks(&[name]))
    }

    /// Checks that these variables are set.
    ///
    /// # Errors
    /// [`Problem::Wrong`] with the names of all that are not, and of the file.
    pub fn require(&self, names: &[&str]) -> Result<(), Problem> {
        let missing: Vec<&str> = names.iter().copied().filter(|name| self.optional(name).is_none()).collect();
        if missing.is_empty() { Ok(()) } else { Err(self.lacks(&missing)) }
    }

    fn lacks(&self, names: &[&str]) -> Problem {
        let names = names.join(", ");
        Problem::Wrong(match &self.file {
            Some(file) => {
                format!("{} does not set {names}; does the file belong to the running stack?", file.display())
            }
            None => format!("not set: {names}; start a stack (make up), or name its file with --env"),
        })
    }

    /// Region, endpoint and credentials for AWS.
    pub async fn sdk_config(&self) -> SdkConfig {
        sdk_config_of(|name| self.optional(name).map(str::to_owned)).await
    }
}

/// Parses lines `NAME=VALUE` as a shell does: values may be in single or double quotes, or in parts of each. On an error, the number of
/// the invalid line.
fn parse(text: &str) -> Result<BTreeMap<String, String>, usize> {
    let lines = text.lines().enumerate().map(|(n, line)| (n + 1, line.trim()));
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let variable = |(n, line): (usize, &str)| {
        let (name, value) = line.strip_prefix("export ").unwrap_or(line).split_once('=').ok_or(n)?;
        Ok((name.trim().to_owned(), unquoted(value).ok_or(n)?))
    };
    lines.map(variable).collect()
}

fn unquoted(value: &str) -> Option<String> {
    let mut text = String::new();
    let mut quote = None;
    for letter in value.chars() {
        match (quote, letter) {
            (None, '\'' | '"') => quote = Some(letter),
            (Some(open), _) if open == letter => quote = None,
            _ => text.push(letter),
        }
    }
    quote.is_none().then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_a_shell_reads_them() {
        let text = "A=1\n\n# not this\nexport B='two words'\nC='it'\"'\"'s'\nD=http://127.0.0.1:1/x?y=z\nE=\n";
        let stack = Stack { file: None, variables: parse(text).unwrap() };
        let expected = [("A", "1"), ("B", "two words"), ("C", "it's"), ("D", "http://127.0.0.1:1/x?y=z")];
        for (name, value) in expected {
            assert_eq!(stack.optional(name), Some(value));
        }
        assert_eq!(stack.optional("E"), None);
        assert_eq!(parse("A=1\nnonsense\n"), Err(2));
        assert_eq!(parse("A='1\n"), Err(1));
    }

    #[test]
    fn variables_that_are_missing_are_named_with_the_file() {
        let stack = Stack { file: Some("some/env".into()), variables: BTreeMap::new() };
        let problem = stack.required("API_URL").unwrap_err().in_full();
        assert!(problem.contains("API_URL") && problem.contains("some/env"), "{problem}");
        let problem = stack.require(&["API_URL", "ARCHIVE_BUCKET"]).unwrap_err().in_full();
        assert!(problem.contains("API_URL, ARCHIVE_BUCKET"), "{problem}");
    }
}
