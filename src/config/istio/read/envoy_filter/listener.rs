//! HTTP connection managers
//! (`envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager`) and the
//! router filter inside them.

use super::super::super::HcmField;
use super::message::{Message, not_simulated};
use crate::config::decode::At;
use crate::xds::Name;

const HCM: &str =
    "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
const ROUTER: &str = "envoy.extensions.filters.http.router.v3.Router";

/// What a `MERGE` of a network filter changes.
pub(super) fn network_filter(value: &At<'_>) -> Vec<HcmField> {
    Message::read(value, |m| {
        m.known(&["name"]);
        let config = m.get("typed_config");
        let fields = config.and_then(|at| {
            Message::any(&at, |kind, m| {
                if kind == HCM {
                    return manager(m);
                }
                m.know_all();
                not_simulated(m.here(), &format!("the network filter `{kind}`"));
                Vec::new()
            })
        });
        fields.unwrap_or_default()
    })
}

fn manager(m: &Message<'_>) -> Vec<HcmField> {
    let mut fields = Vec::new();
    // Requests arrive whole here.
    m.not_yet(&["request_timeout", "request_headers_timeout"]);
    // Names, logs and traces change nothing that is simulated.
    m.known(&[
        "stat_prefix",
        "access_log",
        "tracing",
        "server_name",
        "access_log_options",
    ]);
    fields.extend(
        m.duration("stream_idle_timeout")
            .map(HcmField::StreamIdleTimeout),
    );
    fields.extend(m.duration("request_timeout").map(HcmField::RequestTimeout));
    fields.extend(
        m.duration("request_headers_timeout")
            .map(HcmField::RequestHeadersTimeout),
    );
    m.message("common_http_protocol_options", |m| {
        fields.extend(
            m.duration("max_stream_duration")
                .map(HcmField::MaxStreamDuration),
        );
    });
    m.message("internal_address_config", |m| {
        let ranges: Vec<Name> = m.messages("cidr_ranges", |m| {
            let address = m.text("address_prefix").unwrap_or_default();
            let length: u8 = m.number("prefix_len").unwrap_or(0);
            format!("{address}/{length}").into()
        });
        fields.push(HcmField::InternalAddresses(ranges));
    });
    fields
}

/// What a `MERGE` of the router filter changes.
pub(super) fn router(value: &At<'_>) -> Vec<HcmField> {
    Message::read(value, |m| {
        m.known(&["name"]);
        let config = m.get("typed_config");
        let fields = config.and_then(|at| {
            Message::any(&at, |kind, m| {
                if kind != ROUTER {
                    m.know_all();
                    not_simulated(m.here(), &format!("merging `{kind}`"));
                    return Vec::new();
                }
                m.not_yet(&["suppress_envoy_headers"]);
                let expected = m.bool("respect_expected_rq_timeout") == Some(true);
                let suppress = m.bool("suppress_envoy_headers") == Some(true);
                let expected = expected.then_some(HcmField::RespectExpectedTimeout);
                let suppress = suppress.then_some(HcmField::SuppressEnvoyHeaders);
                expected.into_iter().chain(suppress).collect()
            })
        });
        fields.unwrap_or_default()
    })
}
