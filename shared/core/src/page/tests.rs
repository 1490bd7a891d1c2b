use super::chart::{Chart, Line, times};
use super::text::{duration, escape};
use super::*;

#[test]
fn nothing_that_somebody_wrote_is_taken_for_markup() {
    assert_eq!(
        escape("<script>\"&'</script>"),
        "&lt;script&gt;&quot;&amp;&#39;&lt;/script&gt;"
    );
}

#[test]
fn times_are_said_in_the_unit_that_fits() {
    let said: Vec<String> = [900, 59_999, 750_000, 11_100_000].map(duration).into();
    assert_eq!(said, ["0 s", "59 s", "12 min 30 s", "3 h 05 min"]);
}

#[test]
fn a_line_stays_in_its_chart_and_rises_with_its_amounts() {
    let chart = Chart {
        title: "t",
        from: 1_000,
        until: 2_000,
        most: 10,
        words: |amount| amount.to_string(),
    };
    let line = Line {
        name: "n",
        colour: "#000",
        is_dashed: false,
        // Beyond both ends, as a clock that went back would have it.
        points: vec![(0, -5), (1_000, 0), (1_500, 5), (2_000, 10), (9_000, 99)],
    };
    let html = chart.draw(&[line]);
    assert!(
        html.contains("d=\"M70 142L70 142L395 74L720 6L720 6\""),
        "{html}"
    );
    assert_eq!(
        times(1_000, 2_000, 4).collect::<Vec<_>>(),
        [1_000, 1_250, 1_500, 1_750, 2_000]
    );
}

#[test]
fn a_widgets_links_call_the_function_and_a_pages_links_are_addresses() {
    let page = Links::Page.to(Some("a&b"), "a<b");
    assert_eq!(page, "<a href=\"?sweep_id=a&amp;b\">a&lt;b</a>");
    let function_arn = "arn:aws:lambda:eu-west-1:123456789012:function:f".to_owned();
    let widget = Links::Widget { function_arn }.to(Some("s"), "w");
    assert_eq!(
        widget,
        "<a class=\"btn\">w</a><cwdb-action action=\"call\" display=\"widget\" \
         endpoint=\"arn:aws:lambda:eu-west-1:123456789012:function:f\">{&quot;sweep_id&quot;:&quot;s&quot;}</cwdb-action>"
    );
}
