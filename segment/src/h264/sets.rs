//! The parameter sets of a stream, as a decoder knows them: by their numbers.
//!
//! A stream may have several of each, and say some of them once only: the configuration record in
//! front of it, or one picture long ago. A segment must be decodable by itself, so all that are known
//! stand in front of its first picture.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::{BufMut, Bytes, BytesMut};
use h264_reader::rbsp::{BitRead, BitReader};

use super::nal::{START_CODE, before_picture, trim_zeros};
use super::{H264Error, NalType, escape, nal_units, strip_delimiter, unescape};

/// What all sets of a stream may have together, in bytes: 32 SPS and 256 PPS can be numbered.
const MAX_BYTES: usize = 64 << 10;
/// The numbers stand in the first bytes of a set or a slice.
const NUMBERS: usize = 24;
const MAX_SPS_ID: u32 = 31;
const MAX_PPS_ID: u32 = 255;

/// Parameter sets by their numbers; each one NAL unit without start code.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ParameterSets {
    sps: BTreeMap<u32, Bytes>,
    /// Each with the number of the SPS that it belongs to.
    pps: BTreeMap<u32, (u32, Bytes)>,
}

impl ParameterSets {
    /// Learns one; it replaces that of its number.
    ///
    /// # Errors
    /// A NAL unit that is neither, or has no number that a set can have; more bytes than all sets may
    /// have together. It is passed over then.
    pub fn learn(&mut self, nal: &[u8]) -> Result<(), H264Error> {
        let header = nal.first().copied().unwrap_or(0);
        let kind = NalType::of(header);
        let name = match kind {
            NalType::Sps => "sequence parameter set",
            NalType::Pps => "picture parameter set",
            _ => {
                return Err(H264Error::NalType {
                    expected: 7,
                    got: header & 0x1f,
                });
            }
        };
        let nal = &*escaped(trim_zeros(nal));
        let numbers = match kind {
            // Profile, constraints and level stand in front.
            NalType::Sps => codes::<1>(nal, 4).map(|[id]| (id, id)),
            _ => codes::<2>(nal, 1).map(|[id, sps]| (id, sps)),
        };
        let most = if kind == NalType::Sps {
            MAX_SPS_ID
        } else {
            MAX_PPS_ID
        };
        let (id, sps) = numbers
            .filter(|(id, sps)| *id <= most && *sps <= MAX_SPS_ID)
            .ok_or(H264Error::Truncated(name))?;
        if self.knows(kind, id, nal) {
            return Ok(());
        }
        if self.bytes().saturating_add(nal.len()) > MAX_BYTES {
            return Err(H264Error::Sets(MAX_BYTES));
        }
        let set = Bytes::copy_from_slice(nal);
        match kind {
            NalType::Sps => drop(self.sps.insert(id, set)),
            _ => drop(self.pps.insert(id, (sps, set))),
        }
        Ok(())
    }

    /// Whether a NAL unit is a parameter set.
    pub fn is_one(nal: &[u8]) -> bool {
        let kind = nal.first().map(|header| NalType::of(*header));
        matches!(kind, Some(NalType::Sps | NalType::Pps))
    }

    /// Whether both have the same sequence parameter sets.
    pub fn same_sps(&self, other: &Self) -> bool {
        self.sps == other.sps
    }

    /// Whether there is at least one of each.
    pub fn is_complete(&self) -> bool {
        !self.sps.is_empty() && !self.pps.is_empty()
    }

    /// The sequence parameter sets, by their numbers.
    pub fn all_sps(&self) -> impl Iterator<Item = &Bytes> {
        self.sps.values()
    }

    /// The picture parameter sets, by their numbers.
    pub fn all_pps(&self) -> impl Iterator<Item = &Bytes> {
        self.pps.values().map(|(_, set)| set)
    }

    /// The SPS that an access unit's picture is coded by: that of its first slice, or the first one
    /// if that cannot be told.
    pub fn active_sps(&self, annex_b: &[u8]) -> Option<&Bytes> {
        let slice =
            nal_units(annex_b).find(|nal| nal.first().is_some_and(|h| NalType::of(*h).is_slice()));
        // The first macroblock, the kind of slice, the PPS.
        let pps = slice.and_then(|slice| codes::<3>(slice, 1));
        let pps = pps.and_then(|[_, _, pps]| self.pps.get(&pps));
        let sps = pps.and_then(|(sps, _)| self.sps.get(sps));
        sps.or_else(|| self.sps.values().next())
    }

    /// The access unit with all sets in front, as every IDR must carry them. One that has them all is
    /// returned as it is, without a copy.
    pub fn in_front_of(&self, au: Bytes) -> Bytes {
        let mut own = Self::default();
        let any = before_picture(&au).fold(false, |any, nal| own.learn(nal).is_ok() | any);
        if any && own.sps.len() == self.sps.len() && own.pps.len() == self.pps.len() {
            return au;
        }
        let codes = self.sps.len().saturating_add(self.pps.len());
        let codes = codes.saturating_mul(START_CODE.len());
        let size = au.len().saturating_add(self.bytes()).saturating_add(codes);
        let mut out = BytesMut::with_capacity(size);
        let mut put = |nal: &[u8]| {
            out.put_slice(&START_CODE);
            out.put_slice(nal);
        };
        self.all_sps()
            .chain(self.all_pps())
            .for_each(|set| put(set));
        // A delimiter must stay in front of the parameter sets: the writer makes a new one.
        let picture = strip_delimiter(&au);
        if any {
            // Its own, which are known, would stand behind those that refer to them.
            let others = nal_units(picture).filter(|nal| !Self::is_one(nal));
            others.for_each(put);
        } else {
            out.put_slice(picture);
        }
        out.freeze()
    }

    fn knows(&self, kind: NalType, id: u32, nal: &[u8]) -> bool {
        let known = match kind {
            NalType::Sps => self.sps.get(&id),
            _ => self.pps.get(&id).map(|(_, set)| set),
        };
        known.is_some_and(|known| known == nal)
    }

    fn bytes(&self) -> usize {
        let sets = self.all_sps().chain(self.all_pps());
        sets.fold(0, |sum, set| sum.saturating_add(set.len()))
    }
}

/// With emulation prevention. Some cameras send none in their records, where a length tells the end; behind
/// a start code what looks like another one would end the set.
fn escaped(nal: &[u8]) -> Cow<'_, [u8]> {
    if !nal.windows(3).any(|w| matches!(w, [0, 0, 0..=2])) {
        return nal.into();
    }
    let mut out = Vec::with_capacity(nal.len().saturating_add(8));
    escape(nal, &mut out);
    out.into()
}

/// The first Exp-Golomb codes of a NAL unit, behind so many bytes.
fn codes<const N: usize>(nal: &[u8], skip: usize) -> Option<[u32; N]> {
    let payload = nal.get(skip..)?;
    let payload = unescape(payload.get(..NUMBERS).unwrap_or(payload));
    let mut bits = BitReader::new(payload.as_slice());
    let mut codes = [0; N];
    for code in &mut codes {
        *code = bits.read_ue("number").ok()?;
    }
    Some(codes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing)]

    use super::super::is_idr;
    use super::*;

    /// Number 0 and number 1, and their like with other contents.
    const SPS: [&[u8]; 2] = [&[0x67, 66, 0, 30, 0x80, 7], &[0x67, 66, 0, 30, 0x40, 7]];
    /// Numbers 0 and 1, of SPS 0 and 1.
    const PPS: [&[u8]; 2] = [&[0x68, 0xc0, 7], &[0x68, 0b0100_1000, 7]];
    /// Slices of an IDR coded by PPS 0 and PPS 1.
    const IDR: [&[u8]; 2] = [&[0x65, 0b1110_0000, 9], &[0x65, 0b1101_0000, 9]];

    fn annex_b(nals: &[&[u8]]) -> Bytes {
        nals.iter()
            .flat_map(|nal| [&START_CODE, *nal].concat())
            .collect()
    }

    fn all() -> ParameterSets {
        let mut sets = ParameterSets::default();
        for nal in SPS.iter().chain(&PPS) {
            sets.learn(nal).unwrap();
        }
        sets
    }

    #[test]
    fn a_slice_tells_what_it_is_coded_by() {
        let sets = all();
        for (idr, sps) in IDR.iter().zip(SPS) {
            assert_eq!(sets.active_sps(&annex_b(&[idr])).unwrap(), sps);
        }
        assert_eq!(sets.active_sps(&annex_b(&[&[0x65]])).unwrap(), SPS[0]);
        assert_eq!(ParameterSets::default().active_sps(&annex_b(&IDR)), None);
    }

    #[test]
    fn all_stand_in_front_of_a_picture_that_lacks_any() {
        let sets = all();
        let whole = annex_b(&[SPS[0], SPS[1], PPS[0], PPS[1], IDR[1]]);
        assert_eq!(sets.in_front_of(annex_b(&[IDR[1]])), whole);
        assert_eq!(sets.in_front_of(annex_b(&[&[9, 0xf0], IDR[1]])), whole);
        let own = annex_b(&[&[9, 0xf0], SPS[1], PPS[1], IDR[1]]);
        assert_eq!(sets.in_front_of(own), whole);
        assert_eq!(sets.in_front_of(whole.clone()).as_ptr(), whole.as_ptr());
    }

    #[test]
    fn a_set_that_looks_like_two_stays_one() {
        let mut sets = ParameterSets::default();
        sets.learn(&[0x67, 66, 0, 30, 0x80, 0, 0, 1, 0x65, 0x88, 0, 0])
            .unwrap();
        sets.learn(PPS[0]).unwrap();
        let escaped: &[u8] = &[0x67, 66, 0, 30, 0x80, 0, 0, 3, 1, 0x65, 0x88];
        assert_eq!(sets.all_sps().collect::<Vec<_>>(), [escaped]);
        let whole = sets.in_front_of(annex_b(&[&[0x41, 0xe0]]));
        assert!(!is_idr(&whole) && nal_units(&whole).count() == 3);
    }

    #[test]
    fn one_replaces_that_of_its_number() {
        let mut sets = all();
        let before = sets.clone();
        sets.learn(PPS[0]).unwrap();
        assert_eq!(sets, before);
        sets.learn(&[0x68, 0xc0, 8]).unwrap();
        assert!(sets != before && sets.same_sps(&before));
        sets.learn(&[0x67, 66, 0, 30, 0x80, 8]).unwrap();
        assert!(!sets.same_sps(&before));
        assert_eq!(sets.all_sps().count(), 2);
    }

    #[test]
    fn what_is_learned_has_a_bound() {
        let mut sets = all();
        let large = [&[0x68, 0b0100_1000][..], &vec![1; MAX_BYTES]].concat();
        let before = sets.clone();
        assert_eq!(sets.learn(&large), Err(H264Error::Sets(MAX_BYTES)));
        for nal in [
            &[][..],
            &[0x67],
            &[0x67, 66, 0, 30],
            &[0x68, 0],
            &[0x65, 0x88],
        ] {
            assert!(sets.learn(nal).is_err(), "{nal:?}");
        }
        // PPS 256, SPS 32.
        assert!(sets.learn(&[0x68, 0x00, 0x80, 0xff]).is_err());
        assert!(sets.learn(&[0x67, 66, 0, 30, 0x04, 0x3f]).is_err());
        assert_eq!(sets, before);
    }
}
