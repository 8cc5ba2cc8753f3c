//! Arrays from the C border with any lengths, counts, offsets and buffers: taken or refused, never read beyond what a buffer
//! holds, and released exactly once. Buffers are as long as lengths and offsets can claim here, because no reader of the C
//! structs could see that they are not.
#![no_main]

use std::ffi::c_void;
use std::ptr::{null, null_mut};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use dfp_abi::{FFI_ArrowArray, import_batch};
use dfp_plugin::arrow_schema::{DataType, Field, Schema};
use libfuzzer_sys::fuzz_target;

/// Longest length and offset.
const ROWS: i64 = 64;
/// Bytes of each buffer: 16 for every row before and in the array, and one offset more.
const BUFFER: usize = 16 * (2 * ROWS as usize + 1);
/// Largest offset into bytes or children.
const REACH: u8 = 127;

static RELEASED: AtomicUsize = AtomicUsize::new(0);

/// Arrow's struct, as C sees it.
#[repr(C)]
struct ArrowArray {
    length: i64,
    null_count: i64,
    offset: i64,
    n_buffers: i64,
    n_children: i64,
    buffers: *mut *const c_void,
    children: *mut *mut ArrowArray,
    dictionary: *mut ArrowArray,
    release: Option<unsafe extern "C" fn(array: *mut ArrowArray)>,
    private_data: *mut c_void,
}

/// What an array of ours owns.
struct Owned {
    _buffers: Vec<Vec<u128>>,
    _pointers: Vec<*const c_void>,
    children: Vec<*mut ArrowArray>,
    dictionary: *mut ArrowArray,
}

unsafe extern "C" fn release(array: *mut ArrowArray) {
    RELEASED.fetch_add(1, SeqCst);
    unsafe {
        let owned = Box::from_raw((*array).private_data.cast::<Owned>());
        for part in owned.children.iter().copied().chain([owned.dictionary]).filter(|part| !part.is_null()) {
            let mut part = Box::from_raw(part);
            if let Some(release) = part.release {
                release(&raw mut *part);
            }
        }
        (*array).release = None;
    }
}

/// Takes bytes as long as there are some; then zeros.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn next(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    /// Mostly what is right.
    fn or(&mut self, right: i64) -> i64 {
        match self.next() {
            0..200 => right,
            200..250 => i64::from(self.next()) % ROWS,
            250 => -1,
            251 => i64::MIN,
            252 => i64::MAX,
            _ => right + 1,
        }
    }
}

fn buffer(bytes: &mut Bytes<'_>, width: usize) -> Vec<u128> {
    let mut buffer = vec![0_u128; BUFFER / 16 + 8];
    let raw = unsafe { std::slice::from_raw_parts_mut(buffer.as_mut_ptr().cast::<u8>(), BUFFER) };
    let n = bytes.next() as usize;
    for at in 0..n.min(BUFFER) {
        // Offsets and keys are small numbers, rising or not; now and then a negative one.
        raw[at] = match (width, at % width.max(1)) {
            (0, _) => bytes.next(),
            (_, 0) => bytes.next() & REACH,
            _ => 0,
        };
    }
    if width > 0 && n == 255 {
        raw[width..2 * width].fill(0xFF);
    }
    buffer
}

/// How a type lies in memory: the offsets' or keys' width, buffers, children.
fn array(data_type: &DataType, rows: i64, bytes: &mut Bytes<'_>) -> *mut ArrowArray {
    let (widths, children): (&[usize], Vec<&DataType>) = match data_type {
        DataType::Struct(fields) => (&[0], fields.iter().map(|field| field.data_type()).collect()),
        DataType::List(item) => (&[0, 4], vec![item.data_type()]),
        DataType::LargeList(item) => (&[0, 8], vec![item.data_type()]),
        DataType::Utf8 | DataType::Binary => (&[0, 4, 0], Vec::new()),
        DataType::LargeUtf8 => (&[0, 8, 0], Vec::new()),
        DataType::Dictionary(..) => (&[0, 4], Vec::new()),
        _ => (&[0, 0], Vec::new()),
    };
    let buffers: Vec<Vec<u128>> = widths.iter().map(|width| buffer(bytes, *width)).collect();
    let mut pointers: Vec<*const c_void> = buffers.iter().map(|buffer| buffer.as_ptr().cast()).collect();
    let missing = bytes.next();
    if let Some(pointer) = pointers.get_mut(usize::from(missing % 16)) {
        *pointer = null();
    }
    let inner = if matches!(data_type, DataType::Struct(_)) { rows } else { i64::from(REACH) };
    let children: Vec<*mut ArrowArray> =
        children.into_iter().map(|child| array(child, inner.min(ROWS), bytes)).collect();
    let dictionary = match data_type {
        DataType::Dictionary(_, values) => array(values, ROWS, bytes),
        _ => null_mut(),
    };
    let mut owned = Box::new(Owned { _buffers: buffers, _pointers: pointers, children, dictionary });
    // Counts of buffers and children that are too large are refused before anything is read.
    let array = ArrowArray {
        length: bytes.or(rows),
        null_count: bytes.or(0),
        offset: bytes.or(0),
        n_buffers: bytes.or(widths.len() as i64),
        n_children: bytes.or(owned.children.len() as i64),
        buffers: owned._pointers.as_mut_ptr(),
        children: owned.children.as_mut_ptr(),
        dictionary,
        release: Some(release),
        private_data: Box::into_raw(owned).cast(),
    };
    Box::into_raw(Box::new(array))
}

fn types() -> Vec<DataType> {
    let item = |data_type| Arc::new(Field::new("item", data_type, true));
    vec![
        DataType::Boolean,
        DataType::Int64,
        DataType::Utf8,
        DataType::LargeUtf8,
        DataType::Binary,
        DataType::Decimal128(9, 2),
        DataType::List(item(DataType::Utf8)),
        DataType::LargeList(item(DataType::Int32)),
        DataType::Struct(
            vec![Field::new("a", DataType::Utf8, true), Field::new("b", DataType::Int8, false)].into(),
        ),
        DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
    ]
}

fuzz_target!(|input: &[u8]| {
    let mut bytes = Bytes(input);
    let types = types();
    let count = 1 + usize::from(bytes.next() % 3);
    let fields: Vec<Field> = (0..count)
        .map(|index| {
            let choice = bytes.next();
            let data_type = types[usize::from(choice) % types.len()].clone();
            Field::new(format!("c{index}"), data_type, choice < 128)
        })
        .collect();
    let schema = Arc::new(Schema::new(fields));
    let rows = i64::from(bytes.next()) % ROWS;
    let whole = array(&DataType::Struct(schema.fields().clone()), rows, &mut bytes);
    let before = RELEASED.load(SeqCst);
    // The struct is moved, as a plugin moves it into the host's.
    let moved = unsafe { Box::from_raw(whole.cast::<FFI_ArrowArray>()) };
    if let Ok(batch) = unsafe { import_batch(*moved, &schema) } {
        assert!(!format!("{batch:?}").is_empty());
        assert!(batch.num_rows() as i64 <= ROWS + 1);
    }
    assert!(RELEASED.load(SeqCst) > before, "it is released");
});
