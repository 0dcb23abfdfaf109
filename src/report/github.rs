//! Annotations of a GitHub workflow: lines on standard output that appear beside the code.
//!
//! <https://docs.github.com/actions/reference/workflow-commands-for-github-actions>. Values are
//! escaped as the runner's own toolkit does it (`actions/toolkit`, `core/src/command.ts`).

use super::notice::{Level, Notice};
use crate::units::origin::is_no_file;

/// One line per notice, in their order.
pub fn render(notices: &[Notice]) -> String {
    notices.iter().map(line).collect()
}

fn line(notice: &Notice) -> String {
    let command = match notice.level {
        Level::Note => "notice",
        Level::Warning => "warning",
        Level::Error => "error",
    };
    let mut properties = Vec::new();
    // Standard input and the command line are no files of the repository.
    let place = notice.place.as_ref();
    if let Some(place) = place.filter(|place| !is_no_file(&place.file)) {
        properties.push(format!("file={}", property(&place.file)));
        if place.line > 0 {
            properties.push(format!("line={}", place.line));
        }
        if place.column > 0 {
            properties.push(format!("col={}", place.column));
        }
    }
    properties.push(format!("title={}", property(&notice.code)));
    format!(
        "::{command} {}::{}\n",
        properties.join(","),
        data(&notice.sentence())
    )
}

fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_notice_is_one_line_and_nothing_in_it_ends_the_command() {
        let shown = render(&super::super::notice::sample());
        let expected = "\
::error file=mesh/a b%2Cc.yaml,line=12,col=3,title=TT-RETRY-STORM::VirtualService shop/cart: 3 tries, 50 %25 lost%0Aand more; set a <retryBudget> & look at \"it\"
::warning file=mesh/dr.yaml,title=TT-HEADROOM::cart is 93 %25 busy
::notice title=TT-HEADROOM::nobody's line
";
        assert_eq!(shown, expected, "\n{shown}");
    }
}
