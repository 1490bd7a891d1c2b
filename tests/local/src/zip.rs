//! Deployment packages: a zip with one small file.

/// A zip that holds one executable file, stored as it is.
///
/// A function's package holds a `bootstrap` that executes the built program by its path: a debug binary weighs tens of
/// megabytes, and the gateway would hold and unpack every one of them.
pub(crate) fn of_one_program(name: &str, content: &[u8]) -> Vec<u8> {
    // 1 January 1980, the zero of zip files: the same content makes the same package.
    const DATE: u16 = 0x21;
    const REGULAR_FILE_755: u32 = 0o100_755 << 16;
    const MADE_BY_UNIX: u16 = 3 << 8 | 20;

    let size = u32::try_from(content.len()).unwrap_or(u32::MAX);
    let name_length = u16::try_from(name.len()).unwrap_or(u16::MAX);
    // From "version needed" to "extra length": the same in both headers.
    let mut common = Vec::new();
    for half in [20, 0, 0, 0, DATE] {
        common.extend(half.to_le_bytes());
    }
    for word in [crc32(content), size, size] {
        common.extend(word.to_le_bytes());
    }
    common.extend(name_length.to_le_bytes());
    common.extend(0_u16.to_le_bytes());

    let mut zip = b"PK\x03\x04".to_vec();
    zip.extend(&common);
    zip.extend(name.as_bytes());
    zip.extend(content);

    let directory_offset = u32::try_from(zip.len()).unwrap_or(u32::MAX);
    let mut directory = b"PK\x01\x02".to_vec();
    directory.extend(MADE_BY_UNIX.to_le_bytes());
    directory.extend(&common);
    // No comment, first disk, no internal attributes.
    directory.extend([0; 6]);
    directory.extend(REGULAR_FILE_755.to_le_bytes());
    directory.extend(0_u32.to_le_bytes());
    directory.extend(name.as_bytes());

    let directory_size = u32::try_from(directory.len()).unwrap_or(u32::MAX);
    zip.extend(directory);
    zip.extend(b"PK\x05\x06\0\0\0\0\x01\0\x01\0");
    zip.extend(directory_size.to_le_bytes());
    zip.extend(directory_offset.to_le_bytes());
    zip.extend(0_u16.to_le_bytes());
    zip
}

/// The checksum of zip files (ISO 3309), bit by bit: there are a few hundred bytes to do.
fn crc32(bytes: &[u8]) -> u32 {
    const POLYNOMIAL: u32 = 0xEDB8_8320;
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            (sum >> 1) ^ (POLYNOMIAL & (sum & 1).wrapping_neg())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_standard_one() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    }

    #[test]
    fn equal_content_makes_equal_packages() {
        let zip = of_one_program("bootstrap", b"#!/bin/sh\n");
        assert_eq!(zip, of_one_program("bootstrap", b"#!/bin/sh\n"));
        assert_eq!(zip.len(), 30 + 9 + 10 + 46 + 9 + 22);
    }
}
