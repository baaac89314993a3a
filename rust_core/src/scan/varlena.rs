//! The headers of PostgreSQL's variable-length values (varlena), as they lie on a little-endian machine.
//!
//! | first byte | header | value |
//! | --- | --- | --- |
//! | `0000_0001` | 2 bytes: this and a tag | external: a pointer into the TOAST table |
//! | `xxxx_xxx1` | 1 byte: total length in the upper 7 bits | plain, any alignment |
//! | `xxxx_xx00` | 4 bytes: total length in the upper 30 bits | plain |
//! | `xxxx_xx10` | 4 bytes: total length in the upper 30 bits | compressed in line |

use crate::error::{Error, Result};
use crate::host::Host;
use crate::scan::columns::append_bytes;

#[cfg(not(target_endian = "little"))]
compile_error!("heap pages are read in the byte order of a little-endian machine");

/// First byte of an external value.
const EXTERNAL: u8 = 0x01;
/// The only tag that a stored tuple can hold (VARTAG_ONDISK), and the bytes of such a value with its header.
const TAG_ON_DISK: u8 = 18;
const ON_DISK_SIZE: usize = 2 + 16;
/// Bytes of the long header (VARHDRSZ).
pub(crate) const LONG_HEADER: usize = 4;
/// The longest value that a header can state, header included.
pub(crate) const MAX_SIZE: usize = 0x3FFF_FFFF;

/// A varlena, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub enum Varlena<'a> {
    /// The payload, without header.
    Plain(&'a [u8]),
    /// The whole, with header, compressed or external: for `Host::detoast`.
    Toasted(&'a [u8]),
}

/// Bytes of the varlena at the start of `bytes`, header included; more than there are when it is cut
/// off. `None` when the header is cut off, or is none that a stored tuple can have.
#[inline]
pub fn size(bytes: &[u8]) -> Option<usize> {
    let first = *bytes.first()?;
    if first == EXTERNAL {
        (*bytes.get(1)? == TAG_ON_DISK).then_some(ON_DISK_SIZE)
    } else if first & 1 != 0 {
        Some(usize::from(first >> 1))
    } else {
        let size = (u32::from_le_bytes(*bytes.first_chunk()?) >> 2) as usize;
        (size >= LONG_HEADER).then_some(size)
    }
}

/// Takes the varlena at the start of `bytes` apart; `None` when it is malformed or cut off.
#[inline]
pub fn parse(bytes: &[u8]) -> Option<Varlena<'_>> {
    let whole = bytes.get(..size(bytes)?)?;
    let first = *whole.first()?;
    Some(match first {
        EXTERNAL => Varlena::Toasted(whole),
        _ if first & 1 != 0 => Varlena::Plain(&whole[1..]),
        _ if first & 2 != 0 => Varlena::Toasted(whole),
        _ => Varlena::Plain(&whole[LONG_HEADER..]),
    })
}

/// The varlena in memory at `datum`, taken apart. XX000 when it is malformed.
///
/// # Safety
/// `datum` points at a complete varlena that lives for `'a`.
pub(crate) unsafe fn at<'a>(datum: *const u8) -> Result<Varlena<'a>> {
    let malformed = || Error::internal("a value in memory is malformed");
    // SAFETY: each header form says, within the bytes that are read here, how long the whole is.
    let whole = unsafe {
        let header = match datum.read() {
            EXTERNAL => 2,
            first if first & 1 != 0 => 1,
            _ => LONG_HEADER,
        };
        let size = size(std::slice::from_raw_parts(datum, header)).ok_or_else(malformed)?;
        std::slice::from_raw_parts(datum, size)
    };
    parse(whole).ok_or_else(malformed)
}

/// The payload of the varlena in memory at `datum`, detoasted if need be. XX000 when it is malformed.
///
/// # Safety
/// `datum` points at a complete varlena.
pub(crate) unsafe fn load(host: &dyn Host, datum: *const u8) -> Result<Vec<u8>> {
    // SAFETY: the caller's promise.
    match unsafe { at(datum)? } {
        Varlena::Plain(payload) => Ok(payload.to_vec()),
        Varlena::Toasted(whole) => {
            let mut plain = Vec::new();
            host.detoast(whole, &mut |payload| append_bytes(&mut plain, payload))?;
            Ok(plain)
        }
    }
}

/// The long header of a plain value with `payload` bytes.
#[inline]
pub fn long_header(payload: usize) -> [u8; LONG_HEADER] {
    (((payload + LONG_HEADER) as u32) << 2).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers() {
        assert_eq!(parse(&[0x07, b'a', b'b', b'c']), Some(Varlena::Plain(b"ab")));
        assert_eq!(parse(&[0x03]), Some(Varlena::Plain(b"")));
        assert_eq!(parse(&[0x07, b'a']), None);
        let mut long = long_header(3).to_vec();
        long.extend(b"xyz rest");
        assert_eq!(parse(&long), Some(Varlena::Plain(b"xyz")));
        let compressed = [(10 << 2) | 2, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7];
        assert_eq!(parse(&compressed), Some(Varlena::Toasted(&compressed[..10])));
        let mut external = [0; 20];
        external[..2].copy_from_slice(&[1, 18]);
        assert_eq!(parse(&external), Some(Varlena::Toasted(&external[..18])));
        external[1] = 3;
        assert_eq!(parse(&external), None);
        assert_eq!(size(&[]), None);
        assert_eq!(size(&[3 << 2, 0, 0, 0]), None);
        assert_eq!(size(&[4 << 2, 0, 0]), None);
    }
}
