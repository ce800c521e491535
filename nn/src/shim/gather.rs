//! Rows from all over memory, one after the other.

unsafe extern "C" {
    fn pavlov_gather(rows: *const *const u8, count: i64, length: i64, out: *mut u8);
}

/// Copies rows of one length into `out`, one after the other, shared by the team of threads.
///
/// # Panics
/// When the rows differ in length or do not fill `out`: a mistake of the caller's.
pub fn gather(rows: &[&[u8]], out: &mut [u8]) {
    let length = rows.first().map_or(0, |row| row.len());
    let fill = rows.len().checked_mul(length) == Some(out.len());
    assert!(fill && rows.iter().all(|row| row.len() == length), "rows of one length must fill the room");
    let pointers: Vec<*const u8> = rows.iter().map(|row| row.as_ptr()).collect();
    // SAFETY: each pointer is good for `length` bytes and `out` for as many rows, as was just checked; `out`
    // is borrowed mutably, so that it overlaps none of them.
    unsafe { pavlov_gather(pointers.as_ptr(), rows.len() as i64, length as i64, out.as_mut_ptr()) }
}

#[cfg(test)]
mod tests {
    use super::gather;

    #[test]
    fn rows_come_in_order_and_whole() {
        for (count, length) in [(0, 4), (1, 0), (3, 5), (300, 2_000)] {
            let from: Vec<u8> = (0..count * length).map(|index| (index % 251) as u8).collect();
            let order: Vec<usize> = (0..count).map(|row| row * 7 % count).collect();
            let rows: Vec<&[u8]> = order.iter().map(|row| &from[row * length..(row + 1) * length]).collect();
            let mut out = vec![9; count * length];
            gather(&rows, &mut out);
            assert_eq!(out, rows.concat());
        }
    }

    #[test]
    fn rows_that_differ_or_do_not_fill_the_room_panic() {
        let (long, short) = (&[1u8, 2, 3][..], &[1u8][..]);
        for (rows, room) in [
            (vec![long, short], 4),
            (vec![short, long], 4),
            (vec![short, long], 2),
            (vec![long], 4),
            (vec![long], 2),
            (vec![], 1),
        ] {
            let run = || gather(&rows, &mut vec![0; room]);
            assert!(std::panic::catch_unwind(run).is_err(), "{rows:?} into {room}");
        }
    }
}
