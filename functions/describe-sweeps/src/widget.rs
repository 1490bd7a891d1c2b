//! Sweeps as pictures: for a custom widget of a CloudWatch dashboard, and as a page of its own.

use serde::Deserialize;
use serde_json::{Value, json};
use spawn_core::control;
use spawn_core::errors::FunctionError;
use spawn_core::ids::SweepId;
use spawn_core::ledger::{self, Ledger};
use spawn_core::page::{self, Links};
use spawn_core::ports::ListSweeps;
use spawn_core::rows::{SweepRow, sweep_key};

/// What is shown of the function where a dashboard is edited (Amazon CloudWatch User Guide, "Custom widget Lambda function").
const DOCUMENTATION: &str = "## A sweep of spawn\n\nMembers by state, launches, and what was run up beside the budget.\n\n\
    | parameter | meaning |\n|---|---|\n| **sweep_id** | The sweep. Without it: the newest sweeps, to choose from. |\n\n\
    ``` yaml\nsweep_id: hyperparam-20260122-abc123\n```";

/// How often a page of its own loads itself again.
const REFRESH_S: u32 = 2;

/// What CloudWatch calls a custom widget's function with: the widget's parameters, and what the dashboard is.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Widget {
    /// Asks for a description instead of a picture.
    #[serde(default)]
    describe: bool,
    /// The sweep; the newest ones in a list without it.
    #[serde(default)]
    sweep_id: Option<String>,
    /// Asks for a page of its own, which links by addresses.
    #[serde(default)]
    is_page: bool,
}

/// The picture as HTML at `now` (ms since 1970); `function_arn` is called again by the widget's links.
///
/// # Errors
/// When the ledger does not answer. Repeatable.
pub(crate) async fn draw<L: Ledger + ListSweeps>(
    widget: &Widget,
    ledger: &L,
    function_arn: &str,
    now: u64,
) -> Result<Value, FunctionError> {
    if widget.describe {
        return Ok(json!({ "markdown": DOCUMENTATION }));
    }
    let links = if widget.is_page {
        Links::Page
    } else {
        Links::Widget {
            function_arn: function_arn.to_owned(),
        }
    };
    let asked = widget.sweep_id.as_deref().filter(|id| !id.is_empty());
    let body = match asked {
        Some(id) => of_sweep(id, ledger, &links, now).await?,
        None => {
            let listed = control::list(ledger, &control::parse_list(&json!({}))?).await?;
            page::list(&listed, &links)
        }
    };
    let body = body + &page::made_at(now);
    Ok(Value::String(if widget.is_page {
        page::document(asked.unwrap_or("sweeps"), &body, REFRESH_S)
    } else {
        body
    }))
}

async fn of_sweep(
    id: &str,
    ledger: &impl Ledger,
    links: &Links,
    now: u64,
) -> Result<String, FunctionError> {
    let sweep: Option<SweepRow> = ledger::load(ledger, sweep_key(&SweepId::from(id))).await?;
    let Some(sweep) = sweep else {
        return Ok(page::unknown(id, links));
    };
    let members = control::all_members(ledger, &sweep).await?;
    Ok(page::sweep(&sweep, &members, now, links))
}
