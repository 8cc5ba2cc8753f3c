//! Arrays over the memory of C structs.
//!
//! arrow-rs imports arrays too, with its untyped `ArrayData` in between and no look at what it follows. Here a struct is
//! looked at and becomes a typed array in one go. What no reader of C structs can see is a pointer into the void or a buffer
//! shorter than its offsets say.

use std::ffi::c_void;
use std::ptr::NonNull;
use std::sync::{Arc, LazyLock};

use arrow_array::cast::AsArray;
use arrow_array::types::{ByteArrayType, GenericBinaryType, GenericStringType, Int32Type};
use arrow_array::{
    Array, ArrayRef, ArrowPrimitiveType, BooleanArray, DictionaryArray, GenericByteArray, GenericListArray,
    MapArray, OffsetSizeTrait, PrimitiveArray, StructArray, downcast_primitive,
};
use arrow_buffer::{
    ArrowNativeType, BooleanBuffer, Buffer, MutableBuffer, NullBuffer, OffsetBuffer, ScalarBuffer,
};
use arrow_data::ffi::FFI_ArrowArray;
use arrow_schema::{ArrowError, DataType, FieldRef, Fields};
use dfp_core::{Error, ErrorKind, Result};

use crate::arrow::ArrowArray;
use crate::import::{is_text_dictionary, not_crossing, refused};

/// Rows of one array, those before its offset included.
const MAX_ROWS: i64 = i32::MAX as i64;

/// The memory of arrays without rows, whose own may be missing: one offset, and as much of it as need be. Aligned for
/// every type.
static NOTHING: LazyLock<Buffer> = LazyLock::new(|| MutableBuffer::from_len_zeroed(size_of::<i64>()).into());

pub(crate) fn damaged(error: ArrowError) -> Error {
    Error::caused(ErrorKind::BadData, "taking a batch from the C border", error)
}

/// How far the values of a struct are believed. Its numbers and pointers are looked at in any case.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Values {
    /// Offsets, null counts, UTF-8 and dictionary keys are checked.
    Foreign,
    /// They are known to be what Arrow demands.
    Valid,
}

/// A C struct whose numbers make sense.
pub(crate) struct Source<'a> {
    array: &'a ArrowArray,
    data_type: &'a DataType,
    /// Frees all memory of the batch when dropped.
    owner: &'a Arc<FFI_ArrowArray>,
    values: Values,
}

impl<'a> Source<'a> {
    /// Looks at all numbers of one struct, not at its parts.
    ///
    /// # Safety
    /// `array` was filled by the rules of the C Data Interface, or is released: its pointers are NULL or lead to what the
    /// interface says for `data_type`, with buffers as long as lengths and offsets claim. `owner` keeps all that alive and
    /// unchanged.
    pub(crate) unsafe fn new(
        array: &'a ArrowArray,
        data_type: &'a DataType,
        owner: &'a Arc<FFI_ArrowArray>,
        values: Values,
    ) -> Result<Self> {
        let source = Self { array, data_type, owner, values };
        source.check()?;
        Ok(source)
    }

    fn check(&self) -> Result<()> {
        let Self { array, data_type, .. } = *self;
        if array.release.is_none() {
            return Err(refused(format!("an array of type {data_type} is missing or already released")));
        }
        let sane = (0..=MAX_ROWS).contains(&array.length)
            && (0..=MAX_ROWS).contains(&array.offset)
            && array.length + array.offset <= MAX_ROWS
            && (-1..=array.length).contains(&array.null_count);
        if !sane {
            return Err(refused(format!(
                "an array of type {data_type} has length {}, offset {}, null count {}",
                array.length, array.offset, array.null_count
            )));
        }
        if array.n_buffers != n_buffers(data_type) || array.buffers.is_null() {
            return Err(refused(format!("an array of type {data_type} has {} buffers", array.n_buffers)));
        }
        if array.n_children != n_children(data_type) || (array.n_children > 0 && array.children.is_null()) {
            return Err(refused(format!("an array of type {data_type} has {} children", array.n_children)));
        }
        if array.dictionary.is_null() == matches!(data_type, DataType::Dictionary(..)) {
            let has = if array.dictionary.is_null() { "no" } else { "a" };
            return Err(refused(format!("an array of type {data_type} has {has} dictionary")));
        }
        Ok(())
    }

    pub(crate) fn len(&self) -> usize {
        self.array.length as usize
    }

    fn offset(&self) -> usize {
        self.array.offset as usize
    }

    /// Rows before the offset, and those of the array.
    fn end(&self) -> usize {
        self.offset() + self.len()
    }

    /// The array of a struct that this one leads to, of at least `rows` rows.
    fn part(&self, array: *const ArrowArray, data_type: &'a DataType, rows: usize) -> Result<ArrayRef> {
        // SAFETY: NULL or an array, says `new`.
        let Some(array) = (unsafe { array.as_ref() }) else {
            return Err(refused(format!("a child of an array of type {} is missing", self.data_type)));
        };
        // What `new` was promised covers all parts.
        let part = Self { array, data_type, ..*self };
        part.check()?;
        if part.len() < rows {
            return Err(refused(format!(
                "an array of type {data_type} has length {}, not {rows}",
                part.len()
            )));
        }
        part.array()
    }

    fn child(&self, index: usize, data_type: &'a DataType, rows: usize) -> Result<ArrayRef> {
        debug_assert!((index as i64) < self.array.n_children);
        // SAFETY: the list is not NULL and has n_children pointers.
        let child = unsafe { self.array.children.add(index).read_unaligned() };
        self.part(child, data_type, rows)
    }

    /// The columns of a struct, as many rows as it has.
    pub(crate) fn columns(&self, fields: &'a Fields) -> Result<Vec<ArrayRef>> {
        let mut columns = Vec::with_capacity(fields.len());
        for (index, field) in fields.iter().enumerate() {
            let column = self.child(index, field.data_type(), self.end())?;
            let exact = column.len() == self.len();
            columns.push(if exact { column } else { column.slice(self.offset(), self.len()) });
        }
        Ok(columns)
    }

    /// The array, looked at in full.
    fn array(&self) -> Result<ArrayRef> {
        macro_rules! primitive {
            ($type:ty) => {
                Arc::new(self.primitive::<$type>()?)
            };
        }
        let data_type = self.data_type;
        Ok(downcast_primitive! {
            data_type => (primitive),
            DataType::Boolean => Arc::new(BooleanArray::new(self.bits(1)?, self.nulls()?)),
            DataType::Utf8 => self.texts::<GenericStringType<i32>>()?,
            DataType::LargeUtf8 => self.texts::<GenericStringType<i64>>()?,
            DataType::Binary => self.texts::<GenericBinaryType<i32>>()?,
            DataType::LargeBinary => self.texts::<GenericBinaryType<i64>>()?,
            DataType::List(item) => self.list::<i32>(item)?,
            DataType::LargeList(item) => self.list::<i64>(item)?,
            DataType::Map(entries, sorted) => self.map(entries, *sorted)?,
            DataType::Struct(fields) => {
                let (columns, nulls) = (self.columns(fields)?, self.nulls()?);
                let table = StructArray::try_new_with_length(fields.clone(), columns, nulls, self.len());
                Arc::new(table.map_err(damaged)?)
            },
            DataType::Dictionary(_, values) if is_text_dictionary(data_type) => self.dictionary(values)?,
            other => return Err(not_crossing("an array", other))
        })
    }

    fn primitive<T: ArrowPrimitiveType>(&self) -> Result<PrimitiveArray<T>> {
        let array = PrimitiveArray::new(self.numbers::<T::Native>()?, self.nulls()?);
        let plain = *self.data_type == T::DATA_TYPE;
        Ok(if plain { array } else { array.with_data_type(self.data_type.clone()) })
    }

    fn texts<T: ByteArrayType>(&self) -> Result<ArrayRef> {
        let (offsets, nulls) = (self.offsets::<T::Offset>()?, self.nulls()?);
        let bytes = self.buffer(2, 0, offsets.last().as_usize())?;
        Ok(Arc::new(match self.values {
            Values::Foreign => GenericByteArray::<T>::try_new(offsets, bytes, nulls).map_err(damaged)?,
            // SAFETY: whoever made this a source of valid values promised it.
            Values::Valid => unsafe { GenericByteArray::<T>::new_unchecked(offsets, bytes, nulls) },
        }))
    }

    fn list<O: OffsetSizeTrait>(&self, item: &'a FieldRef) -> Result<ArrayRef> {
        let (offsets, nulls) = (self.offsets::<O>()?, self.nulls()?);
        let items = self.child(0, item.data_type(), 0)?;
        let list = GenericListArray::try_new(item.clone(), offsets, items, nulls);
        Ok(Arc::new(list.map_err(damaged)?))
    }

    fn map(&self, entries: &'a FieldRef, sorted: bool) -> Result<ArrayRef> {
        let (offsets, nulls) = (self.offsets::<i32>()?, self.nulls()?);
        let pairs = self.child(0, entries.data_type(), 0)?;
        let map = MapArray::try_new(entries.clone(), offsets, pairs.as_struct().clone(), nulls, sorted);
        Ok(Arc::new(map.map_err(damaged)?))
    }

    fn dictionary(&self, values: &'a DataType) -> Result<ArrayRef> {
        let keys = PrimitiveArray::<Int32Type>::new(self.numbers()?, self.nulls()?);
        let values = self.part(self.array.dictionary, values, 0)?;
        Ok(Arc::new(match self.values {
            Values::Foreign => DictionaryArray::try_new(keys, values).map_err(damaged)?,
            // SAFETY: whoever made this a source of valid values promised it.
            Values::Valid => unsafe { DictionaryArray::new_unchecked(keys, values) },
        }))
    }

    /// Where a buffer begins; may be NULL.
    fn address(&self, index: usize) -> *const c_void {
        debug_assert!((index as i64) < self.array.n_buffers);
        // SAFETY: the list is not NULL and has n_buffers pointers.
        unsafe { self.array.buffers.add(index).read_unaligned() }
    }

    /// `len` bytes of a buffer from `start` on, where they lie.
    fn buffer(&self, index: usize, start: usize, len: usize) -> Result<Buffer> {
        if len == 0 {
            return Ok(NOTHING.slice_with_length(0, 0));
        }
        let address = NonNull::new(self.address(index).cast_mut().cast::<u8>()).ok_or_else(|| {
            refused(format!("buffer {index} of an array of type {} is missing", self.data_type))
        })?;
        // SAFETY: not NULL, so it leads to a buffer, which `new` was promised to be long enough and to live as long as the
        // owner.
        Ok(unsafe { Buffer::from_custom_allocation(address.add(start), len, self.owner.clone()) })
    }

    /// The values of a fixed width. They are copied if they are not aligned, as other languages may have it.
    fn numbers<T: ArrowNativeType>(&self) -> Result<ScalarBuffer<T>> {
        let width = size_of::<T>();
        let buffer = self.buffer(1, self.offset() * width, self.len() * width)?;
        let aligned = buffer.as_ptr().align_offset(align_of::<T>()) == 0;
        Ok(if aligned { buffer } else { Buffer::from(buffer.as_slice()) }.into())
    }

    fn bits(&self, index: usize) -> Result<BooleanBuffer> {
        let (start, offset) = (self.offset() / 8, self.offset() % 8);
        let bytes = if self.len() == 0 { 0 } else { (offset + self.len()).div_ceil(8) };
        let offset = if self.len() == 0 { 0 } else { offset };
        Ok(BooleanBuffer::new(self.buffer(index, start, bytes)?, offset, self.len()))
    }

    /// Which rows are null. A struct may leave the counting to its reader, and need not have bits if none is.
    #[inline]
    pub(crate) fn nulls(&self) -> Result<Option<NullBuffer>> {
        let claimed = self.array.null_count;
        if claimed == 0 || self.len() == 0 || (claimed < 0 && self.address(0).is_null()) {
            return Ok(None);
        }
        self.counted_nulls(claimed)
    }

    fn counted_nulls(&self, claimed: i64) -> Result<Option<NullBuffer>> {
        let nulls = NullBuffer::new(self.bits(0)?);
        if claimed > 0 && claimed != nulls.null_count() as i64 {
            return Err(refused(format!(
                "an array of type {} says {claimed} rows are null, and {} are",
                self.data_type,
                nulls.null_count()
            )));
        }
        Ok(Some(nulls).filter(|nulls| nulls.null_count() > 0))
    }

    /// One offset more than rows. They must not be negative and must not fall.
    fn offsets<O: OffsetSizeTrait>(&self) -> Result<OffsetBuffer<O>> {
        let width = size_of::<O>();
        let buffer = if self.end() == 0 {
            NOTHING.slice_with_length(0, width)
        } else {
            self.buffer(1, self.offset() * width, (self.len() + 1) * width)?
        };
        if buffer.as_ptr().align_offset(align_of::<O>()) != 0 {
            return Err(refused("an array's offsets are not aligned"));
        }
        let offsets = ScalarBuffer::<O>::from(buffer);
        if self.values == Values::Foreign && (offsets[0] < O::default() || !offsets.is_sorted()) {
            return Err(refused("an array's offsets are negative or fall"));
        }
        // SAFETY: at least one, and looked at above, or promised to be valid.
        Ok(unsafe { OffsetBuffer::new_unchecked(offsets) })
    }
}

/// How many buffers an array has, that of validity included.
fn n_buffers(data_type: &DataType) -> i64 {
    match data_type {
        DataType::Struct(_) => 1,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Binary | DataType::LargeBinary => 3,
        _ => 2,
    }
}

fn n_children(data_type: &DataType) -> i64 {
    match data_type {
        DataType::Struct(fields) => fields.len() as i64,
        DataType::List(_) | DataType::LargeList(_) | DataType::Map(..) => 1,
        _ => 0,
    }
}
