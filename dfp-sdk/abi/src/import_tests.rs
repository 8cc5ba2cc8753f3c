//! Round trips, and every way we could think of to hand over something damaged.

use std::collections::HashMap;
use std::ffi::{CString, c_char, c_void};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow_array::builder::{MapBuilder, StringBuilder};
use arrow_array::types::Int32Type;
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Decimal128Array, DictionaryArray, Float64Array, Int64Array,
    LargeStringArray, ListArray, StringArray, StructArray, TimestampNanosecondArray,
};
use arrow_schema::{Field, Fields};
use dfp_core::MemoryStream;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::arrow::export_stream;
use crate::export::export_batch;

fn batch() -> RecordBatch {
    let columns: [(&str, ArrayRef); 9] = [
        ("text", Arc::new(StringArray::from(vec![Some("a\0b"), None, Some("déjà")]))),
        ("large", Arc::new(LargeStringArray::from(vec!["x", "", "yz"]))),
        ("bytes", Arc::new(BinaryArray::from(vec![&b"\xFF\0"[..], b"", b"z"]))),
        ("number", Arc::new(Int64Array::from(vec![Some(1), None, Some(3)]))),
        ("flag", Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)]))),
        ("when", Arc::new(TimestampNanosecondArray::from(vec![1, 2, 3]).with_timezone("UTC"))),
        ("money", Arc::new(Decimal128Array::from(vec![1, 2, 3]))),
        ("word", Arc::new(["a", "b", "a"].into_iter().collect::<DictionaryArray<Int32Type>>())),
        (
            "list",
            Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>([
                Some(vec![Some(1), None]),
                None,
                Some(vec![]),
            ])),
        ),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

fn round_trip(batches: &[RecordBatch]) -> Vec<RecordBatch> {
    let schema = batches[0].schema();
    let stream = export_stream(Box::new(MemoryStream::new(schema.clone(), batches.to_vec())));
    let stream = unsafe { ImportedStream::new(stream, &schema) }.unwrap();
    assert_eq!(stream.schema(), schema);
    stream.collect::<Result<_>>().unwrap()
}

#[test]
fn batches_of_every_type_survive_sliced_and_empty() {
    let whole = batch();
    let batches = [whole.clone(), whole.slice(1, 2), whole.slice(2, 0), whole.slice(0, 1)];
    assert_eq!(round_trip(&batches), batches);
}

#[test]
fn nothing_is_copied() {
    let sent = batch();
    let received = round_trip(std::slice::from_ref(&sent)).remove(0);
    let values = |batch: &RecordBatch| batch.column(3).to_data().buffers()[0].as_ptr();
    assert_eq!(values(&received), values(&sent));
}

#[test]
fn a_batch_without_columns_keeps_its_rows() {
    let schema = SchemaRef::new(Schema::empty());
    let options = RecordBatchOptions::new().with_row_count(Some(5));
    let sent = RecordBatch::try_new_with_options(schema, vec![], &options).unwrap();
    assert_eq!(round_trip(std::slice::from_ref(&sent))[0].num_rows(), 5);
}

#[test]
fn metadata_survives() {
    let field = Field::new("n", DataType::Int64, true)
        .with_metadata(HashMap::from([("k".to_owned(), "v\0".to_owned())]));
    let schema =
        Schema::new(vec![field]).with_metadata(HashMap::from([("source".to_owned(), "x".to_owned())]));
    let column: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let sent = RecordBatch::try_new(Arc::new(schema), vec![column]).unwrap();
    assert_eq!(round_trip(std::slice::from_ref(&sent))[0].schema(), sent.schema());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 200 }))]

    #[test]
    fn any_batches_survive(
        rows in vec((option::of(".*"), option::of(any::<i64>()), option::of(any::<bool>()), any::<f64>()), 0..40),
        cuts in vec((0usize..40, 0usize..40), 1..4),
    ) {
        let column: [(&str, ArrayRef); 4] = [
            ("s", Arc::new(rows.iter().map(|row| row.0.clone()).collect::<StringArray>())),
            ("i", Arc::new(rows.iter().map(|row| row.1).collect::<Int64Array>())),
            ("b", Arc::new(rows.iter().map(|row| row.2).collect::<BooleanArray>())),
            ("f", Arc::new(rows.iter().map(|row| row.3).collect::<Float64Array>())),
        ];
        let nullable = |(name, column): (&'static str, ArrayRef)| (name, column, true);
        let whole = RecordBatch::try_from_iter_with_nullable(column.map(nullable)).unwrap();
        let batches: Vec<_> = cuts
            .into_iter()
            .map(|(from, len)| {
                let from = from.min(whole.num_rows());
                whole.slice(from, len.min(whole.num_rows() - from))
            })
            .collect();
        // NaNs differ from themselves; their text does not.
        prop_assert_eq!(format!("{:?}", round_trip(&batches)), format!("{batches:?}"));
    }
}

/// A stream that makes what it is given, one after the other.
struct Script(SchemaRef, std::vec::IntoIter<Box<dyn FnOnce() -> Result<RecordBatch> + Send>>);

impl Iterator for Script {
    type Item = Result<RecordBatch>;
    fn next(&mut self) -> Option<Self::Item> {
        self.1.next().map(|step| step())
    }
}

impl BatchStream for Script {
    fn schema(&self) -> SchemaRef {
        self.0.clone()
    }
}

fn script(steps: Vec<Box<dyn FnOnce() -> Result<RecordBatch> + Send>>) -> ImportedStream {
    let schema = batch().schema();
    let stream = export_stream(Box::new(Script(schema.clone(), steps.into_iter())));
    unsafe { ImportedStream::new(stream, &schema) }.unwrap()
}

#[test]
fn an_error_crosses_with_kind_and_text_and_ends_the_stream() {
    let mut stream = script(vec![
        Box::new(|| Ok(batch())),
        Box::new(|| Err(Error::new(ErrorKind::BadData, "line 3: \"\0\""))),
        Box::new(|| Ok(batch())),
    ]);
    assert!(stream.next().unwrap().is_ok());
    let error = stream.next().unwrap().unwrap_err();
    assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::BadData, "line 3: \" \""));
    assert!(stream.next().is_none());
}

#[test]
fn a_panic_crosses_as_an_error() {
    let mut stream = script(vec![Box::new(|| panic!("row 7"))]);
    let error = stream.next().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Panic);
    assert!(error.to_string().contains("row 7"));
    assert!(stream.next().is_none());
}

#[test]
fn after_its_error_a_stream_only_repeats_it() {
    let failing: Box<dyn FnOnce() -> Result<RecordBatch> + Send> =
        Box::new(|| Err(Error::new(ErrorKind::Io, "first")));
    let mut stream = export_stream(Box::new(Script(batch().schema(), vec![failing].into_iter())));
    let get_next = stream.get_next.unwrap();
    for _ in 0..3 {
        let mut array = FFI_ArrowArray::empty();
        assert_eq!(unsafe { get_next(&raw mut stream, (&raw mut array).cast()) }, DFP_STREAM_CODE_BASE + 6);
        assert!(array.is_released());
        assert_eq!(last_error(&mut stream, DFP_STREAM_CODE_BASE + 6).to_string(), "first");
    }
}

#[test]
fn a_batch_of_another_schema_is_refused_on_the_way_out() {
    let other = RecordBatch::new_empty(SchemaRef::new(Schema::empty()));
    let error = script(vec![Box::new(|| Ok(other))]).next().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SchemaMismatch);
}

#[test]
fn a_stream_of_another_schema_is_refused_on_the_way_in() {
    let stream = export_stream(Box::new(MemoryStream::new(batch().schema(), vec![])));
    let declared = SchemaRef::new(Schema::empty());
    let error = unsafe { ImportedStream::new(stream, &declared) }.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SchemaMismatch);
    let released = unsafe { ImportedStream::new(ArrowArrayStream::default(), &declared) }.unwrap_err();
    assert_eq!(released.kind(), ErrorKind::InvalidState);
}

#[test]
fn names_with_nul_are_an_error_on_the_way_out() {
    let schema = SchemaRef::new(Schema::new(vec![Field::new("a\0b", DataType::Int64, true)]));
    assert_eq!(export_schema_error(&schema), ErrorKind::SchemaMismatch);
    let stream = export_stream(Box::new(MemoryStream::new(schema.clone(), vec![])));
    let error = unsafe { ImportedStream::new(stream, &schema) }.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SchemaMismatch);
}

fn export_schema_error(schema: &SchemaRef) -> ErrorKind {
    crate::arrow::export_schema(schema).unwrap_err().kind()
}

#[test]
fn types_that_not_everybody_knows_do_not_cross() {
    let pair =
        |key| Fields::from(vec![Field::new("key", key, false), Field::new("value", DataType::Utf8, true)]);
    let map = |pair: Fields, missing| {
        DataType::Map(Arc::new(Field::new("entries", DataType::Struct(pair), missing)), false)
    };
    let alone = Fields::from(vec![Field::new("key", DataType::Utf8, false)]);
    for data_type in [
        DataType::Utf8View,
        DataType::Null,
        map(pair(DataType::Utf8View), false),
        map(pair(DataType::Utf8), true),
        map(alone, false),
    ] {
        let schema = SchemaRef::new(Schema::new(vec![Field::new("c", data_type, true)]));
        let schema = crate::arrow::export_schema(&schema).unwrap();
        assert_eq!(unsafe { import_schema(schema) }.unwrap_err().kind(), ErrorKind::Unsupported);
    }
}

/// What a foreign stream is made of in these tests.
struct Foreign {
    code: c_int,
    text: Option<CString>,
    released: Arc<AtomicUsize>,
}

/// A stream of foreign making that fails with `code` at once, and counts its releases.
fn foreign(code: c_int, text: Option<&str>, released: &Arc<AtomicUsize>) -> ArrowArrayStream {
    unsafe extern "C" fn get_schema(_: *mut ArrowArrayStream, out: *mut ArrowSchema) -> c_int {
        let schema = crate::arrow::export_schema(&batch().schema()).unwrap();
        unsafe { out.cast::<FFI_ArrowSchema>().write(schema) };
        0
    }
    unsafe extern "C" fn get_next(stream: *mut ArrowArrayStream, _: *mut ArrowArray) -> c_int {
        unsafe { (*(*stream).private_data.cast::<Foreign>()).code }
    }
    unsafe extern "C" fn get_last_error(stream: *mut ArrowArrayStream) -> *const c_char {
        unsafe { &*(*stream).private_data.cast::<Foreign>() }.text.as_ref().unwrap().as_ptr()
    }
    unsafe extern "C" fn release(stream: *mut ArrowArrayStream) {
        let stream = unsafe { &mut *stream };
        let private = unsafe { Box::from_raw(stream.private_data.cast::<Foreign>()) };
        private.released.fetch_add(1, Ordering::SeqCst);
        stream.release = None;
    }
    let text = text.map(|text| CString::new(text).unwrap());
    ArrowArrayStream {
        get_schema: Some(get_schema),
        get_next: Some(get_next),
        get_last_error: text.is_some().then_some(get_last_error as _),
        release: Some(release),
        private_data: Box::into_raw(Box::new(Foreign { code, text, released: released.clone() })).cast(),
    }
}

#[test]
fn foreign_failures_keep_their_meaning_and_streams_are_released_once() {
    let released = Arc::new(AtomicUsize::new(0));
    let cases = [
        (5, None, ErrorKind::Io, "does not say why"),
        (12, Some("no room"), ErrorKind::ResourceExhausted, "no room (code 12)"),
        (-1, Some("odd"), ErrorKind::Internal, "odd (code -1)"),
        (DFP_STREAM_CODE_BASE + 8, Some("stopped"), ErrorKind::Cancelled, "stopped"),
        (DFP_STREAM_CODE_BASE + 1234, Some("own"), ErrorKind::Internal, "(code 5330)"),
    ];
    for (count, (code, text, kind, expected)) in cases.into_iter().enumerate() {
        let stream = foreign(code, text, &released);
        let mut stream = unsafe { ImportedStream::new(stream, &batch().schema()) }.unwrap();
        let error = stream.next().unwrap().unwrap_err();
        assert_eq!(error.kind(), kind, "{code}");
        assert!(error.to_string().contains(expected), "{error}");
        assert!(stream.next().is_none());
        drop(stream);
        assert_eq!(released.load(Ordering::SeqCst), count + 1);
    }
    let refused =
        unsafe { ImportedStream::new(foreign(0, None, &released), &SchemaRef::new(Schema::empty())) };
    assert!(refused.is_err());
    assert_eq!(released.load(Ordering::SeqCst), cases.len() + 1);
}

fn arrow_export(batch: &RecordBatch) -> FFI_ArrowArray {
    FFI_ArrowArray::new(&StructArray::from(batch.clone()).to_data())
}

fn our_export(batch: &RecordBatch) -> FFI_ArrowArray {
    export_batch(batch.clone(), batch.schema_ref()).unwrap()
}

/// Hands over `batch()` after `damage` was done to it, as an array of arrow-rs's making and as one of ours. Whatever comes of
/// it, the memory is let go.
fn damaged(damage: impl Fn(&mut ArrowArray)) -> Result<RecordBatch> {
    let [first, second] = [arrow_export, our_export].map(|export| {
        let batch = batch();
        let mut array = export(&batch);
        damage(view(&mut array));
        let result = unsafe { import_batch(array, &batch.schema()) };
        let references = || batch.column(3).to_data().buffers()[0].strong_count();
        // The batch's own, and that of `to_data`. Batches that came through hold the struct, and with it the memory.
        assert!(result.is_ok() || references() == 2, "the memory is let go");
        result
    });
    assert_eq!(first.as_ref().ok(), second.as_ref().ok());
    first.and(second)
}

fn view(array: &mut FFI_ArrowArray) -> &mut ArrowArray {
    unsafe { &mut *std::ptr::from_mut(array).cast::<ArrowArray>() }
}

fn child(array: &mut ArrowArray, index: usize) -> &mut ArrowArray {
    unsafe { &mut **array.children.add(index) }
}

fn put<T>(array: &ArrowArray, buffer: usize, index: usize, value: T) {
    // The arrays of `batch()` are ours alone: nobody else looks at these bytes.
    unsafe { (*array.buffers.add(buffer)).cast_mut().cast::<T>().add(index).write(value) };
}

#[test]
fn undamaged_passes() {
    assert_eq!(damaged(|_| ()).unwrap(), batch());
}

#[test]
fn damaged_arrays_are_refused() {
    type Damage = (&'static str, fn(&mut ArrowArray));
    const TEXT: usize = 0;
    const LARGE: usize = 1;
    const NUMBER: usize = 3;
    const WORD: usize = 7;
    const LIST: usize = 8;
    let damages: [Damage; 30] = [
        ("negative length", |a| a.length = -1),
        ("huge length", |a| a.length = i64::MAX),
        ("longer than its columns", |a| a.length = 4),
        ("shorter than its columns, which are not sliced", |a| child(a, NUMBER).length = 2),
        ("offset of its own", |a| a.offset = 1),
        ("no buffers", |a| a.n_buffers = 0),
        ("list of buffers missing", |a| a.buffers = std::ptr::null_mut()),
        ("too few children", |a| a.n_children = 8),
        ("too many children", |a| a.n_children = 1 << 40),
        ("negative children", |a| a.n_children = -1),
        ("list of children missing", |a| a.children = std::ptr::null_mut()),
        ("null rows without validity", |a| a.null_count = 1),
        ("negative child length", |a| child(a, TEXT).length = -3),
        ("negative child offset", |a| child(a, TEXT).offset = -3),
        ("offset that overflows", |a| child(a, NUMBER).offset = i64::MAX),
        ("too many buffers", |a| child(a, NUMBER).n_buffers = 3),
        ("negative buffers", |a| child(a, TEXT).n_buffers = -1),
        ("null count above length", |a| child(a, NUMBER).null_count = 4),
        ("null count below -1", |a| child(a, NUMBER).null_count = -2),
        ("wrong null count", |a| child(a, NUMBER).null_count = 2),
        ("values missing", |a| unsafe { *child(a, NUMBER).buffers.add(1) = std::ptr::null::<c_void>() }),
        ("bytes missing", |a| unsafe { *child(a, TEXT).buffers.add(2) = std::ptr::null::<c_void>() }),
        ("negative offset", |a| put(child(a, TEXT), 1, 0, -1_i32)),
        ("falling offsets", |a| put(child(a, TEXT), 1, 1, 100_i32)),
        ("falling wide offsets", |a| put(child(a, LARGE), 1, 1, 100_i64)),
        ("not UTF-8", |a| put(child(a, TEXT), 2, 0, 0xFF_u8)),
        ("dictionary missing", |a| child(a, WORD).dictionary = std::ptr::null_mut()),
        ("dictionary where none belongs", |a| {
            let word: *mut ArrowArray = child(a, WORD).dictionary;
            child(a, NUMBER).dictionary = word;
        }),
        ("key outside the dictionary", |a| put(child(a, WORD), 1, 0, 9_i32)),
        ("list beyond its items", |a| put(child(a, LIST), 1, 3, 9_i32)),
    ];
    for (what, damage) in damages {
        let error = damaged(damage).expect_err(what);
        assert_eq!(error.kind(), ErrorKind::BadData, "{what}: {error}");
    }
}

#[test]
fn damaged_maps_are_refused() {
    type Damage = (&'static str, fn(&mut ArrowArray));
    let damages: [Damage; 5] = [
        ("beyond its entries", |map| put(map, 1, 2, 9_i32)),
        ("falling offsets", |map| put(map, 1, 1, 3_i32)),
        ("no entries", |map| map.n_children = 0),
        ("missing key", |map| {
            let key = child(child(map, 0), 0);
            key.null_count = -1;
            unsafe { *key.buffers = [0_u8].as_ptr().cast() };
        }),
        ("keys shorter than values", |map| child(child(map, 0), 0).length = 1),
    ];
    for (what, damage) in damages {
        let mut maps = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
        for key in ["a", "b"] {
            maps.keys().append_value(key);
            maps.values().append_null();
            maps.append(true).unwrap();
        }
        let batch = RecordBatch::try_from_iter([("map", Arc::new(maps.finish()) as ArrayRef)]).unwrap();
        let mut array = our_export(&batch);
        damage(child(view(&mut array), 0));
        let error = unsafe { import_batch(array, batch.schema_ref()) }.expect_err(what);
        assert_eq!(error.kind(), ErrorKind::BadData, "{what}: {error}");
    }
}

#[test]
fn missing_and_released_children_are_refused() {
    for missing in [true, false] {
        let mut saved = std::ptr::null_mut();
        let batch = batch();
        let mut array = arrow_export(&batch);
        let view = view(&mut array);
        let mut released = ArrowArray { release: None, ..*child(view, 2) };
        let mut list: Vec<_> = (0..9).map(|index| unsafe { *view.children.add(index) }).collect();
        list[2] = if missing { std::ptr::null_mut() } else { &raw mut released };
        std::mem::swap(&mut saved, &mut view.children);
        view.children = list.as_mut_ptr();
        assert!(unsafe { import_batch(array, &batch.schema()) }.is_err());
    }
}

#[test]
fn a_heartbeat_may_have_no_buffers_at_all() {
    let schema = batch().schema();
    let mut array = our_export(&RecordBatch::new_empty(schema.clone()));
    let view = view(&mut array);
    for column in 0..9 {
        let column = child(view, column);
        for index in 0..column.n_buffers as usize {
            unsafe { *column.buffers.add(index) = std::ptr::null() };
        }
    }
    assert_eq!(unsafe { import_batch(array, &schema) }.unwrap().num_rows(), 0);
}

#[test]
fn numbers_that_are_not_aligned_are_copied_and_offsets_refused() {
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["a", "b", "c"]));
    for (column, accepted) in [(numbers, true), (texts, false)] {
        let batch = RecordBatch::try_from_iter([("c", column.clone())]).unwrap();
        let mut array = our_export(&batch);
        let column = child(view(&mut array), 0);
        let bytes = unsafe { std::slice::from_raw_parts((*column.buffers.add(1)).cast::<u8>(), 24) };
        let mut moved = vec![0_u64; 4];
        let moved = unsafe { moved.as_mut_ptr().cast::<u8>().add(1) };
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), moved, if accepted { 24 } else { 16 }) };
        unsafe { *column.buffers.add(1) = moved.cast() };
        let received = unsafe { import_batch(array, batch.schema_ref()) };
        assert_eq!(received.ok(), accepted.then_some(batch));
    }
}

#[test]
fn where_values_are_believed_numbers_and_pointers_are_not() {
    let import = |damage: fn(&mut ArrowArray)| {
        let batch = batch();
        let mut array = our_export(&batch);
        damage(view(&mut array));
        unsafe { import_valid_batch(array, batch.schema_ref()) }
    };
    assert_eq!(import(|_| ()).unwrap(), batch());
    let damages: [fn(&mut ArrowArray); 4] = [
        |a| child(a, 0).length = 2,
        |a| child(a, 3).n_buffers = 1,
        |a| unsafe { *child(a, 0).buffers.add(2) = std::ptr::null() },
        |a| child(a, 7).dictionary = std::ptr::null_mut(),
    ];
    for damage in damages {
        assert_eq!(import(damage).unwrap_err().kind(), ErrorKind::BadData);
    }
}

/// Hands over a schema after `damage` was done to it.
fn damaged_schema(damage: impl FnOnce(&mut ArrowSchema)) -> Result<SchemaRef> {
    let mut schema = crate::arrow::export_schema(&batch().schema()).unwrap();
    let view = unsafe { &mut *(&raw mut schema).cast::<ArrowSchema>() };
    let before = ArrowSchema { ..*view };
    damage(view);
    // The release callback needs its own pointers back; a foreign one would keep them in its private data.
    let result = {
        let copy = unsafe { std::ptr::read(&raw const schema) };
        let copy = std::mem::ManuallyDrop::new(copy);
        unsafe { check(&copy) }
    };
    unsafe { (&raw mut schema).cast::<ArrowSchema>().write(before) };
    result
}

unsafe fn check(schema: &FFI_ArrowSchema) -> Result<SchemaRef> {
    let view: *const FFI_ArrowSchema = schema;
    unsafe { check_schema(&*view.cast::<ArrowSchema>(), 0) }?;
    Ok(SchemaRef::new(Schema::try_from(schema)?))
}

#[test]
fn damaged_schemas_are_refused() {
    type Damage = (&'static str, fn(&mut ArrowSchema));
    let damages: [Damage; 7] = [
        ("format missing", |s| s.format = std::ptr::null()),
        ("format not UTF-8", |s| s.format = c"\xFF".as_ptr()),
        ("name not UTF-8", |s| s.name = c"\xFF".as_ptr()),
        ("negative children", |s| s.n_children = -1),
        ("huge children", |s| s.n_children = i64::MAX),
        ("children missing", |s| s.children = std::ptr::null_mut()),
        ("a list without items", |s| {
            s.format = c"+l".as_ptr();
            s.n_children = 0;
        }),
    ];
    assert!(damaged_schema(|_| ()).is_ok());
    for (what, damage) in damages {
        assert_eq!(damaged_schema(damage).expect_err(what).kind(), ErrorKind::BadData, "{what}");
    }
    assert!(unsafe { import_schema(FFI_ArrowSchema::empty()) }.is_err());
}

#[test]
fn batches_outlive_their_stream_on_another_thread() {
    let sent = batch();
    let mut stream = script(vec![Box::new(|| Ok(batch())), Box::new(|| Ok(batch()))]);
    let first = stream.next().unwrap().unwrap();
    let second = stream.next().unwrap().unwrap();
    drop(stream);
    drop(first);
    std::thread::spawn(move || assert_eq!(second, sent)).join().unwrap();
}
