//! EC2's errors, sorted by what to do about them. By code, never by words.
//!
//! The codes are those of the Amazon EC2 Developer Guide, "Error codes for the Amazon EC2 API", and of the guides named at
//! each list. A code that stands nowhere here is an error of its own kind, tried again a few times and counted, unless the
//! answer's status says that EC2 itself failed.

use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};
use spawn_core::ports::Ec2Error;

use super::denial;
use crate::sdk::Failure;

/// This pool (type, zone, market, subnet) has nothing now; another may.
///
/// `Unsupported` is what a zone answers that does not offer the type.
const NO_CAPACITY: [&str; 13] = [
    "InsufficientAddressCapacity",
    "InsufficientCapacity",
    "InsufficientCapacityOnHost",
    "InsufficientFreeAddressesInSubnet",
    "InsufficientHostCapacity",
    "InsufficientInstanceCapacity",
    "InsufficientReservedInstanceCapacity",
    "InsufficientReservedInstancesCapacity",
    "InsufficientVolumeCapacity",
    "ReservationCapacityExceeded",
    "SpotMaxPriceTooLow",
    "UnfulfillableCapacity",
    "Unsupported",
];

/// A limit of the account or the VPC, which only an operator (or the end of other instances) changes.
///
/// `MaxFleetCountExceeded` is not on the page but known from launches.
const QUOTA: [&str; 15] = [
    "AddressLimitExceeded",
    "HostLimitExceeded",
    "InstanceLimitExceeded",
    "MaxFleetCountExceeded",
    "MaxIOPSLimitExceeded",
    "MaxScheduledInstanceCapacityExceeded",
    "MaxSpotFleetRequestCountExceeded",
    "MaxSpotInstanceCountExceeded",
    "MaxTemplateLimitExceeded",
    "MaxTemplateVersionLimitExceeded",
    "NetworkInterfaceLimitExceeded",
    "ResourceCountLimitExceeded",
    "ResourceLimitExceeded",
    "VcpuLimitExceeded",
    "VolumeLimitExceeded",
];

/// The client token belongs to instances that are gone, or to another request (Amazon EC2 Developer Guide, "Ensuring
/// idempotency in Amazon EC2 API requests").
const TOKEN_SPENT: [&str; 2] = [
    "IdempotentInstanceTerminated",
    "IdempotentParameterMismatch",
];

/// EC2's own failures, and what passes by itself.
const TRANSIENT: [&str; 10] = [
    "BandwidthLimitExceeded",
    "ConcurrentTagAccess",
    "InternalError",
    "InternalFailure",
    "RequestExpired",
    "RequestTimeout",
    "RetryableError",
    "ServerInternal",
    "ServiceUnavailable",
    "Unavailable",
];

/// What is refused for good, beside the codes that [`is_refusal`] knows by their beginning.
const REFUSED: [&str; 15] = [
    "AccessDenied",
    "AccessDeniedException",
    "AuthFailure",
    "Blocked",
    "EncryptedVolumesNotSupported",
    "FilterLimitExceeded",
    "OperationNotPermitted",
    "OptInRequired",
    "PendingVerification",
    "ResourceCountExceeded",
    "SignatureDoesNotMatch",
    "TagLimitExceeded",
    "TagPolicyViolation",
    "UnsupportedOperation",
    "VPCIdNotSpecified",
];

/// Whether a code says that something in the request is wrong: EC2 has hundreds of them, for each kind of thing that a request
/// may name (`InvalidAMIID.NotFound`, `InvalidSubnetID.NotFound`, `MissingParameter`, …).
fn is_refusal(code: &str) -> bool {
    let beginnings = [
        "Invalid",
        "Missing",
        "Malformed",
        "Incorrect",
        "Unknown",
        "NonEBSInstance",
    ];
    beginnings.iter().any(|start| code.starts_with(start))
}

/// The error of a call.
pub(super) fn of_call<E>(error: &SdkError<E>) -> Ec2Error
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    of_failure(Failure::of(error))
}

pub(super) fn of_failure(failure: Failure) -> Ec2Error {
    let throttled = failure.is_throttling();
    match failure {
        Failure::Invalid(text) => Ec2Error::Refused(text),
        Failure::NoAnswer(text) => Ec2Error::Transient(text),
        Failure::Answer { code, text, server } => match code.as_str() {
            _ if throttled => Ec2Error::Throttled(text),
            code if NO_CAPACITY.contains(&code) => Ec2Error::NoCapacity(text),
            code if QUOTA.contains(&code) => Ec2Error::Quota(text),
            code if TOKEN_SPENT.contains(&code) => Ec2Error::TokenSpent(text),
            code if TRANSIENT.contains(&code) => Ec2Error::Transient(text),
            "UnauthorizedOperation" => Ec2Error::Refused(denial::readable(&text)),
            code if REFUSED.contains(&code) || is_refusal(code) => Ec2Error::Refused(text),
            _ if server => Ec2Error::Transient(text),
            _ => Ec2Error::Unknown(text),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sdk::THROTTLING;

    fn sorted(code: &str, server: bool) -> Ec2Error {
        of_failure(Failure::Answer {
            code: code.to_owned(),
            text: format!("{code}: words"),
            server,
        })
    }

    fn kind(error: &Ec2Error) -> String {
        error.kind().replace('_', " ")
    }

    #[test]
    fn the_codes_of_launches_are_sorted() {
        for (code, server, expected) in [
            // EC2 answers both with status 503: the code decides, not the status.
            ("RequestLimitExceeded", true, "throttled"),
            ("Throttling", false, "throttled"),
            ("EC2ThrottledException", false, "throttled"),
            ("InsufficientInstanceCapacity", true, "no capacity"),
            ("InsufficientFreeAddressesInSubnet", false, "no capacity"),
            ("UnfulfillableCapacity", false, "no capacity"),
            ("Unsupported", false, "no capacity"),
            ("SpotMaxPriceTooLow", false, "no capacity"),
            ("VcpuLimitExceeded", false, "quota"),
            ("MaxSpotInstanceCountExceeded", false, "quota"),
            ("InstanceLimitExceeded", false, "quota"),
            ("IdempotentInstanceTerminated", false, "token spent"),
            ("IdempotentParameterMismatch", false, "token spent"),
            ("InternalError", true, "transient"),
            ("ServiceUnavailable", true, "transient"),
            ("SomethingNew", true, "transient"),
            ("SomethingNew", false, "unknown"),
            ("InvalidSubnetID.NotFound", false, "refused"),
            ("AuthFailure", false, "refused"),
            ("PendingVerification", false, "refused"),
            ("UnauthorizedOperation", false, "refused"),
            ("InvalidAMIID.NotFound", false, "refused"),
            ("UnsupportedOperation", false, "refused"),
            ("ResourceCountExceeded", false, "refused"),
            ("InvalidParameterValue", false, "refused"),
        ] {
            assert_eq!(kind(&sorted(code, server)), expected, "{code}");
        }
    }

    #[test]
    fn no_answer_is_transient_and_a_wrong_request_refused() {
        assert_eq!(
            kind(&of_failure(Failure::NoAnswer("timed out".to_owned()))),
            "transient"
        );
        assert_eq!(
            kind(&of_failure(Failure::Invalid("no region".to_owned()))),
            "refused"
        );
    }

    #[test]
    fn no_code_is_in_two_lists() {
        let lists = [
            &NO_CAPACITY[..],
            &QUOTA,
            &TOKEN_SPENT,
            &TRANSIENT,
            &THROTTLING,
            &REFUSED,
        ];
        let mut codes: Vec<&str> = lists.concat();
        codes.sort_unstable();
        assert!(codes.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
