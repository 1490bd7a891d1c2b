//! CloudFormation: the template's way in.

use super::client::Client;
use super::xml;
use crate::error::{Error, Result};

const VERSION: &str = "2010-05-15";

/// How far a stack is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StackStatus {
    /// CloudFormation's word, such as `CREATE_COMPLETE`.
    pub status: String,
    /// Why, when it failed.
    pub reason: String,
}

/// Something that happened to a resource of a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StackEvent {
    /// The resource's name in the template.
    pub resource: String,
    /// Its type.
    pub kind: String,
    /// CloudFormation's word, such as `CREATE_FAILED`.
    pub status: String,
    /// Why.
    pub reason: String,
}

impl Client {
    /// Begins to create a stack from a template in a bucket.
    pub fn create_stack(
        &self,
        name: &str,
        template_url: &str,
        parameters: &[(String, String)],
    ) -> Result<()> {
        let mut input = vec![
            ("StackName".to_owned(), name.to_owned()),
            ("TemplateURL".to_owned(), template_url.to_owned()),
            ("DisableRollback".to_owned(), "true".to_owned()),
        ];
        let capabilities = [
            "CAPABILITY_IAM",
            "CAPABILITY_NAMED_IAM",
            "CAPABILITY_AUTO_EXPAND",
        ];
        for (number, capability) in (1..).zip(capabilities) {
            input.push((format!("Capabilities.member.{number}"), capability.into()));
        }
        for (number, (key, value)) in (1..).zip(parameters) {
            input.push((
                format!("Parameters.member.{number}.ParameterKey"),
                key.clone(),
            ));
            input.push((
                format!("Parameters.member.{number}.ParameterValue"),
                value.clone(),
            ));
        }
        self.query("cloudformation", "CreateStack", VERSION, &input)
            .map(drop)
    }

    /// How far a stack is.
    pub fn stack_status(&self, name: &str) -> Result<StackStatus> {
        let answer = self.query(
            "cloudformation",
            "DescribeStacks",
            VERSION,
            &[("StackName".into(), name.into())],
        )?;
        let status = xml::text(&answer, "StackStatus").ok_or_else(|| Error::Unreadable {
            what: "the answer to DescribeStacks".into(),
            why: "it names no status".into(),
        })?;
        Ok(StackStatus {
            status,
            reason: xml::text(&answer, "StackStatusReason").unwrap_or_default(),
        })
    }

    /// What happened to a stack, in the order in which it happened.
    pub fn stack_events(&self, name: &str) -> Result<Vec<StackEvent>> {
        let answer = self.query(
            "cloudformation",
            "DescribeStackEvents",
            VERSION,
            &[("StackName".into(), name.into())],
        )?;
        let mut events: Vec<StackEvent> = xml::elements(&answer, "member")
            .map(|event| {
                let text = |name| xml::text(event, name).unwrap_or_default();
                StackEvent {
                    resource: text("LogicalResourceId"),
                    kind: text("ResourceType"),
                    status: text("ResourceStatus"),
                    reason: text("ResourceStatusReason"),
                }
            })
            .collect();
        events.reverse();
        Ok(events)
    }
}
