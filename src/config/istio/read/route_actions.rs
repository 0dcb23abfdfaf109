//! What an `http` rule does beside routing: fault, retries, rewrite, redirect, headers.

use super::super::{
    Delegate, DirectResponse, FaultAbort, FaultDelay, HeaderOperations, HttpFault, HttpRewrite,
    Redirect, RedirectPort, Retries, rules,
};
use super::{at_most_one, duration, percent, port, schema_warning};
use crate::config::decode::{At, Fields};
use crate::diagnostic::{Class, Diagnostic};
use crate::units::Fraction;
use crate::xds::Name;
use crate::xds::route::{AbortStatus, RetryOn};

/// `fault` (`validateHTTPFaultInjection`); its warnings are lost by Istio.
pub(super) fn fault(f: &Fields<'_>) -> HttpFault {
    if f.get("delay").is_none() && f.get("abort").is_none() {
        f.refuse("a fault needs `delay` or `abort`");
    }
    HttpFault {
        delay: f.object("delay", delay).flatten(),
        abort: f.object("abort", abort),
        origin: f.origin(),
    }
}

fn fault_percentage(f: &Fields<'_>) -> Option<f64> {
    let value = percent(f, "percentage")?;
    let tiny = value != 0.0 && value < 0.0001;
    if !(0.0..=100.0).contains(&value) || tiny {
        f.refuse_field(
            "percentage",
            format!("{value} is neither 0 nor between 0.0001 and 100"),
        );
    }
    Some(value)
}

fn delay(f: &Fields<'_>) -> Option<FaultDelay> {
    at_most_one(f, &["fixedDelay", "exponentialDelay"]);
    if f.get("exponentialDelay").is_some() {
        f.refuse_field("exponentialDelay", "is not supported by Istio");
    }
    let written = fault_percentage(f);
    // The old whole number counts only where the new field is absent; nobody checks its range.
    let old: Option<u32> = f.integer("percent");
    if old.is_some() {
        let message = "`percent` of a delay is deprecated; write `percentage: {value: …}`";
        f.push_at(
            "percent",
            Diagnostic::warning("IST0002", Class::Advice, message),
        );
    }
    if written.is_none() && old.is_none() {
        never_fires(f, "delay");
    }
    Some(FaultDelay {
        fraction: Fraction::from_percent(written.unwrap_or(f64::from(old.unwrap_or(0)))),
        fixed: duration(f, "fixedDelay")?,
    })
}

fn never_fires(f: &Fields<'_>, what: &str) {
    let message = format!("this {what} has no `percentage`, so it never fires");
    let advice = Diagnostic::warning("TT-FAULT-NEVER-FIRES", Class::Advice, message);
    f.push(advice.help("write `percentage: {value: 100}` for every request"));
}

fn abort(f: &Fields<'_>) -> FaultAbort {
    at_most_one(f, &["httpStatus", "grpcStatus", "http2Error"]);
    let written = fault_percentage(f);
    let status = abort_status(f);
    if f.get("http2Error").is_some() {
        f.refuse_field("http2Error", "is not supported by Istio");
    } else if status.is_none() && f.get("httpStatus").is_none() && f.get("grpcStatus").is_none() {
        let message = "this abort has neither `httpStatus` nor `grpcStatus`, so it never aborts";
        f.push(Diagnostic::warning(
            "TT-FAULT-NEVER-FIRES",
            Class::Advice,
            message,
        ));
    } else if written.is_none() {
        never_fires(f, "abort");
    }
    FaultAbort {
        fraction: Fraction::from_percent(written.unwrap_or(0.0)),
        status,
    }
}

fn abort_status(f: &Fields<'_>) -> Option<AbortStatus> {
    if let Some(name) = f.text("grpcStatus") {
        let code = GRPC_STATUSES.iter().position(|known| *known == &*name);
        if code.is_none() {
            f.refuse_field(
                "grpcStatus",
                format!("`{name}` is not the name of a gRPC status"),
            );
        }
        return code.map(|code| AbortStatus::Grpc(code as u8));
    }
    let status: u16 = f.integer("httpStatus")?;
    // The message of Istio says 599, its check 600.
    if !(200..=600).contains(&status) {
        f.refuse_field("httpStatus", format!("{status} is not between 200 and 599"));
        return None;
    }
    Some(AbortStatus::Http(status))
}

/// Names by code.
const GRPC_STATUSES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// `retries` (`validateHTTPRetry`).
pub(super) fn retries(f: &Fields<'_>) -> Retries {
    let attempts: i64 = f.integer("attempts").unwrap_or(0);
    if attempts < 0 {
        f.refuse_field("attempts", "cannot be negative");
    }
    let off = attempts == 0;
    for name in ["perTryTimeout", "retryOn", "retryRemoteLocalities"] {
        if off && f.get(name).is_some() {
            f.refuse_field(name, "needs `attempts` of at least 1");
        }
    }
    let retry_on = f.text_or_empty("retryOn");
    if !retry_on.is_empty() {
        // Not trimmed: `503, 504` is refused for its blank.
        for word in retry_on.split(',').filter(|word| !is_retry_word(word)) {
            f.refuse_field(
                "retryOn",
                format!("`{word}` is not a condition Istio knows"),
            );
        }
    }
    Retries {
        attempts,
        per_try_timeout: duration(f, "perTryTimeout"),
        retry_on,
        retry_remote_localities: f.flag("retryRemoteLocalities"),
        ignore_previous_hosts: f.bool("retryIgnorePreviousHosts"),
        backoff: duration(f, "backoff"),
        origin: f.origin(),
    }
}

fn is_retry_word(word: &str) -> bool {
    RetryOn::word(word).is_some() || word.parse().is_ok_and(is_http_status)
}

/// Statuses Go's `http.StatusText` has a text for.
fn is_http_status(status: u16) -> bool {
    matches!(
        status,
        100..=103
            | 200..=208
            | 226
            | 300..=305
            | 307
            | 308
            | 400..=418
            | 421..=426
            | 428
            | 429
            | 431
            | 451
            | 500..=508
            | 510
            | 511
    )
}

/// `rewrite` (`validateHTTPRewrite`).
pub(super) fn rewrite(f: &Fields<'_>) -> HttpRewrite {
    let read_regex = |f: &Fields<'_>| {
        let (pattern, replacement) = (f.text_or_empty("match"), f.text_or_empty("rewrite"));
        if pattern.is_empty() || replacement.is_empty() {
            f.refuse("needs both `match` and `rewrite`");
        } else if let Some(error) = rules::regex_error(&pattern) {
            f.refuse_field("match", error);
        }
        (pattern, replacement)
    };
    let rewrite = HttpRewrite {
        uri: f.text("uri").filter(|uri| !uri.is_empty()),
        uri_regex: f.object("uriRegexRewrite", read_regex),
        authority: f
            .text("authority")
            .filter(|authority| !authority.is_empty()),
    };
    if rewrite.uri.is_some() && rewrite.uri_regex.is_some() {
        f.refuse("`uri` and `uriRegexRewrite` exclude each other");
    }
    if rewrite == HttpRewrite::default() {
        f.refuse("rewrites nothing; give `uri`, `uriRegexRewrite` or `authority`");
    }
    rewrite
}

/// `redirect` (`validateHTTPRedirect`).
pub(super) fn redirect(f: &Fields<'_>) -> Redirect {
    at_most_one(f, &["port", "derivePort"]);
    let derived = [
        ("FROM_PROTOCOL_DEFAULT", RedirectPort::FromProtocol),
        ("FROM_REQUEST_PORT", RedirectPort::FromRequest),
    ];
    let filled = |name| f.text(name).filter(|text| !text.is_empty());
    let redirect = Redirect {
        uri: filled("uri"),
        prefix_rewrite: filled("prefixRewrite"),
        authority: filled("authority"),
        scheme: filled("scheme"),
        port: f
            .choice("derivePort", &derived)
            .or(port(f, "port").map(RedirectPort::Number)),
        code: f.integer("redirectCode").unwrap_or(0),
    };
    if redirect.uri.is_some() && redirect.prefix_rewrite.is_some() {
        f.refuse("`uri` and `prefixRewrite` exclude each other");
    }
    if redirect.code != 0 && !(300..=399).contains(&redirect.code) {
        f.refuse_field(
            "redirectCode",
            format!("{} is not a 3xx status", redirect.code),
        );
    }
    if let Some(scheme) = &redirect.scheme
        && !matches!(&**scheme, "http" | "https")
    {
        f.refuse_field(
            "scheme",
            format!("`{scheme}` is neither `http` nor `https`"),
        );
    }
    if (Redirect {
        code: 0,
        ..redirect.clone()
    }) == Redirect::default()
    {
        f.refuse("redirects nowhere; give `uri`, `prefixRewrite`, `authority`, `scheme` or a port");
    }
    redirect
}

/// `directResponse` (`validateHTTPDirectResponse`).
pub(super) fn direct_response(f: &Fields<'_>) -> DirectResponse {
    const BODY_LEN_WARN: usize = 100 * 1024;
    const BODY_LEN_MAX: usize = 1024 * 1024;
    let status: u16 = f.integer("status").unwrap_or(0);
    if !(200..=600).contains(&status) {
        f.refuse_field("status", format!("{status} is not between 200 and 599"));
    }
    let body = f.object("body", |f| {
        at_most_one(f, &["string", "bytes"]);
        f.text("bytes").or_else(|| f.text("string"))
    });
    let body: Name = body.flatten().unwrap_or_default();
    if body.len() > BODY_LEN_MAX {
        f.refuse_field("body", "is larger than 1 MiB");
    } else if body.len() > BODY_LEN_WARN {
        let message = "a response body of more than 100 kB slows every proxy";
        f.push_at("body", schema_warning(message));
    }
    DirectResponse { status, body }
}

/// `delegate`.
pub(super) fn delegate(f: &Fields<'_>) -> Delegate {
    Delegate {
        name: f.text_or_empty("name"),
        namespace: f.text_or_empty("namespace"),
        origin: f.origin(),
    }
}

/// `headers` (`validateHTTPHeaderOperations`).
pub(super) fn headers(f: &Fields<'_>) -> HeaderOperations {
    let mut operations = HeaderOperations::default();
    f.object("request", |f| {
        operations.request_set = header_values(f, "set", true);
        operations.request_add = header_values(f, "add", true);
        operations.request_remove = header_names(f);
    });
    f.object("response", |f| {
        operations.response_set = header_values(f, "set", false);
        operations.response_add = header_values(f, "add", false);
        operations.response_remove = header_names(f);
    });
    operations
}

fn header_values(f: &Fields<'_>, name: &'static str, authority_ok: bool) -> Vec<(Name, Name)> {
    let read = |(key, at): (Name, At<'_>)| {
        let value = at.text()?;
        let is_authority = key.eq_ignore_ascii_case("host") || &*key == ":authority";
        if !(is_authority && authority_ok)
            && let Some(error) = changed_header_error(&key)
        {
            at.refuse(error);
        }
        if let Some(error) = rules::header_value_error(&value) {
            at.refuse(error);
        }
        Some((key, value))
    };
    f.entries(name).into_iter().filter_map(read).collect()
}

fn header_names(f: &Fields<'_>) -> Vec<Name> {
    let names = f.texts("remove");
    for error in names.iter().filter_map(|name| changed_header_error(name)) {
        f.refuse_field("remove", error);
    }
    names
}

fn changed_header_error(name: &str) -> Option<String> {
    if name.starts_with(':') || name.eq_ignore_ascii_case("host") {
        return Some(format!("`{name}` cannot be changed this way"));
    }
    rules::header_name_error(name)
}
