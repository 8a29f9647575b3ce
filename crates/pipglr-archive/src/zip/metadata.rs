//! Owner and time as zip stores them: two Info-ZIP extra fields and the DOS date.

use zip::extra_fields::ExtraField;

/// Info-ZIP "new Unix" extra field: numeric owner.
pub(super) const OWNER_FIELD: u16 = 0x7875;

/// Version 1, then each number preceded by its size in bytes.
pub(super) fn encode_owner(uid: u32, gid: u32) -> [u8; 11] {
    let mut field = [0; 11];
    field[0] = 1;
    field[1] = 4;
    field[2..6].copy_from_slice(&uid.to_le_bytes());
    field[6] = 4;
    field[7..].copy_from_slice(&gid.to_le_bytes());
    field
}

/// Reads the owner of an entry; `None` if it has none we understand.
pub(super) fn owner<'a>(fields: impl Iterator<Item = &'a ExtraField>) -> Option<(u32, u32)> {
    for field in fields {
        if let ExtraField::Custom(custom) = field
            && custom.header_id == OWNER_FIELD
        {
            return decode_owner(&custom.data);
        }
    }
    None
}

fn decode_owner(field: &[u8]) -> Option<(u32, u32)> {
    let (&1, rest) = field.split_first()? else {
        return None;
    };
    let (uid, rest) = decode_number(rest)?;
    let (gid, _) = decode_number(rest)?;
    Some((uid, gid))
}

fn decode_number(field: &[u8]) -> Option<(u32, &[u8])> {
    let (&size, rest) = field.split_first()?;
    let (number, rest) = rest.split_at_checked(usize::from(size))?;
    let mut bytes = [0; 8];
    bytes.get_mut(..number.len())?.copy_from_slice(number);
    let number = u32::try_from(u64::from_le_bytes(bytes)).ok()?;
    // All ones means "leave as it is" to chown, and is nobody's number.
    (number != u32::MAX).then_some((number, rest))
}

/// The time of an entry in seconds since 1970: the exact one if it is stored, else the DOS date read as UTC.
pub(super) fn modified<'a>(
    mut fields: impl Iterator<Item = &'a ExtraField>,
    dos: Option<zip::DateTime>,
) -> Option<i64> {
    let exact = fields.find_map(|field| match field {
        ExtraField::ExtendedTimestamp(times) => times.mod_time(),
        _ => None,
    });
    exact.map(i64::from).or_else(|| {
        let dos = dos.filter(zip::DateTime::is_valid)?;
        let days = days_from_civil(dos.year().into(), dos.month().into(), dos.day().into());
        let seconds = i64::from(dos.hour()) * 3600 + i64::from(dos.minute()) * 60 + i64::from(dos.second());
        Some(days * 86_400 + seconds)
    })
}

/// The DOS date of a time, clamped to the years it can hold (1980 to 2107).
pub(super) fn dos_date(seconds: i64) -> zip::DateTime {
    let (year, month, day) = civil_from_days(seconds.div_euclid(86_400));
    let Ok(year) = u16::try_from(year.clamp(0, 9999)) else {
        return zip::DateTime::default();
    };
    if year < 1980 {
        return zip::DateTime::default();
    }
    let of_day = seconds.rem_euclid(86_400);
    let part = |value: i64| u8::try_from(value).unwrap_or(0);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    let last = || zip::DateTime::from_date_and_time(2107, 12, 31, 23, 59, 58);
    zip::DateTime::from_date_and_time(year, part(month), part(day), part(hour), part(minute), part(second))
        .or_else(|_| last())
        .unwrap_or_default()
}

/// Days since 1970-01-01 of a date of the proleptic Gregorian calendar, counting years from March.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The inverse of [`days_from_civil`].
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_convert_both_ways() {
        let rows = [
            (0, (1970, 1, 1)),
            (11_016, (2000, 2, 29)),
            (11_017, (2000, 3, 1)),
            (10_956, (1999, 12, 31)),
            (-1, (1969, 12, 31)),
            (47_541, (2100, 3, 1)),
        ];
        for (days, date) in rows {
            assert_eq!(civil_from_days(days), date);
            assert_eq!(days_from_civil(date.0, date.1, date.2), days);
        }
    }

    #[test]
    fn dos_dates_are_utc_and_clamped() {
        let show = |seconds| dos_date(seconds).to_string();
        assert_eq!(show(1_700_000_001), "2023-11-14 22:13:20");
        assert_eq!(show(0), "1980-01-01 00:00:00");
        assert_eq!(show(i64::from(u32::MAX) * 2), "2107-12-31 23:59:58");
        let dos = Some(dos_date(1_700_000_000));
        assert_eq!(modified([].into_iter(), dos), Some(1_700_000_000));
    }

    #[test]
    fn owners_survive_and_odd_fields_are_ignored() {
        assert_eq!(decode_owner(&encode_owner(1000, 65_537)), Some((1000, 65_537)));
        assert_eq!(decode_owner(&[1, 2, 5, 0, 1, 7]), Some((5, 7)));
        let odd: [&[u8]; 5] = [
            &[],
            &[2, 1, 1, 1, 1],
            &[1, 4, 0, 0],
            &[1, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            &[1, 4, 255, 255, 255, 255, 1, 0],
        ];
        for odd in odd {
            assert_eq!(decode_owner(odd), None, "{odd:?}");
        }
        assert_eq!(decode_owner(&[1, 8, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0]), None);
    }
}
