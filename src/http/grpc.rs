//! gRPC over HTTP: which requests are gRPC, and what statuses mean on either side
//! (`source/common/grpc/common.cc`, `source/common/grpc/status.cc`).
//!
//! A gRPC answer is an HTTP 200 with the outcome in `grpc-status`. Where a run keeps one number
//! per answer, an outcome other than OK is kept as [`in_headers`]: 1000 and the gRPC status, above
//! every HTTP status and so an error like 5xx.

/// Above every HTTP status.
const BASE: u16 = 1000;

/// `application/grpc`, alone or with a subtype.
pub fn is_grpc(content_type: &str) -> bool {
    content_type
        .strip_prefix("application/grpc")
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('+'))
}

/// The number kept for an answer with this gRPC status in its headers.
pub const fn in_headers(status: u8) -> u16 {
    if status == 0 {
        200
    } else {
        BASE + status as u16
    }
}

/// The gRPC status behind a kept number; `None` for plain HTTP answers.
#[inline]
pub const fn kept(status: u16) -> Option<u8> {
    if status >= BASE {
        Some((status - BASE) as u8)
    } else {
        None
    }
}

/// The HTTP status on the wire of a kept number.
#[inline]
pub const fn http(status: u16) -> u16 {
    if status >= BASE { 200 } else { status }
}

/// A kept number as it is shown: `503`, `grpc 14`.
pub fn shown(status: u16) -> String {
    match kept(status) {
        Some(grpc) => format!("grpc {grpc}"),
        None => status.to_string(),
    }
}

/// The gRPC status of an answer that an Envoy makes itself with this HTTP status.
pub const fn of_local_reply(http: u16) -> u8 {
    match http {
        400 => 13,
        401 => 16,
        403 => 7,
        404 => 12,
        429 | 502..=504 => 14,
        _ => 2,
    }
}

/// The HTTP status that outlier detection sees in a gRPC status in response headers
/// (`source/common/grpc/status.cc`).
pub const fn to_http(status: u8) -> u16 {
    match status {
        0 => 200,
        1 => 499,
        3 | 9 | 11 => 400,
        4 => 504,
        5 => 404,
        6 | 10 => 409,
        7 => 403,
        8 => 429,
        12 => 501,
        14 => 503,
        16 => 401,
        _ => 500,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_subtype_of_grpc_begins_with_a_plus() {
        let of = |text| is_grpc(text);
        assert!(of("application/grpc") && of("application/grpc+proto"));
        assert!(!of("application/grpc-web") && !of("application/json"));
    }

    #[test]
    fn an_outcome_other_than_ok_is_kept_above_http() {
        assert_eq!((in_headers(0), in_headers(14)), (200, 1014));
        assert_eq!((http(1014), kept(1014), kept(503)), (200, Some(14), None));
        assert_eq!((shown(1014), shown(503)), ("grpc 14".into(), "503".into()));
    }
}
