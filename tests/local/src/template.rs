//! What `sam package` does to a template: local paths become places in a bucket.
//!
//! The text is changed line by line and nothing else in it is touched, so that the gateway sees the very template that
//! would be deployed to AWS.

use crate::error::Result;

/// A local file or folder that a template names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reference<'a> {
    /// The package of a function, by the folder of its build result.
    Code(&'a str),
    /// The definition of a state machine.
    Definition(&'a str),
}

/// The template with each reference replaced by what `place` answers for it.
pub(crate) fn package(
    template: &str,
    mut place: impl FnMut(Reference<'_>) -> Result<String>,
) -> Result<String> {
    let mut packaged = String::with_capacity(template.len() + 1024);
    for line in template.split_inclusive('\n') {
        match reference(line) {
            Some((before, found)) => {
                packaged.push_str(before);
                packaged.push_str(&place(found)?);
                packaged.push('\n');
            }
            None => packaged.push_str(line),
        }
    }
    Ok(packaged)
}

fn reference(line: &str) -> Option<(&str, Reference<'_>)> {
    let indented = line.trim_start();
    let (key, value) = indented.split_once(": ")?;
    let path = value.trim().trim_matches(['"', '\'']);
    let found = match key {
        "CodeUri" => Reference::Code(path),
        "DefinitionUri" => Reference::Definition(path),
        _ => return None,
    };
    let is_local = !path.starts_with("s3://") && !path.starts_with(['{', '!']);
    let before = line.len() - indented.len() + key.len() + ": ".len();
    is_local.then(|| (&line[..before], found))
}

/// The names of the template's parameters.
pub(crate) fn parameters(template: &str) -> Vec<&str> {
    template
        .lines()
        .skip_while(|line| *line != "Parameters:")
        .skip(1)
        .take_while(|line| line.is_empty() || line.starts_with([' ', '#']))
        .filter_map(|line| line.strip_prefix("  ")?.strip_suffix(':'))
        .filter(|name| !name.starts_with([' ', '#']))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATE: &str = "\
Parameters:
  # A comment.
  Domain:
    Type: String
    Default: \"\"

  Ec2EventSource:
    Type: String
Resources:
  Plan:
    Properties:
      CodeUri: ../target/lambda/plan-sweep
      Other: CodeUri
  Sweep:
    Properties:
      DefinitionUri: \"../statemachines/sweep.asl.json\"
  Packaged:
    Properties:
      CodeUri: s3://bucket/key
";

    #[test]
    fn local_paths_become_places_and_the_rest_stays() {
        let packaged = package(TEMPLATE, |reference| {
            Ok(match reference {
                Reference::Code(path) => format!("s3://b/{}", path.len()),
                Reference::Definition(path) => format!("s3://b{}", &path[2..]),
            })
        });
        let expected = TEMPLATE
            .replace("../target/lambda/plan-sweep", "s3://b/27")
            .replace(
                "\"../statemachines/sweep.asl.json\"",
                "s3://b/statemachines/sweep.asl.json",
            );
        assert_eq!(packaged.unwrap(), expected);
    }

    #[test]
    fn parameters_are_found() {
        assert_eq!(parameters(TEMPLATE), ["Domain", "Ec2EventSource"]);
        assert_eq!(parameters("Resources:\n  A:\n    Type: B\n"), [""; 0]);
    }
}
