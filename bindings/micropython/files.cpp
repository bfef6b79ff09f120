// Reads the files of keys and certificates. All of these functions may raise.

#include "files.hpp"

#include "arguments.hpp"
#include "ussl/context.hpp"
#include "ussl/memory.hpp"

namespace {

// The open() of a file system written in Python may return any object.
bool is_stream(mp_obj_t file) {
    const auto* protocol = static_cast<const mp_stream_p_t*>(
        MP_OBJ_TYPE_GET_SLOT_OR_NULL(mp_obj_get_type(file), protocol));
    return protocol != nullptr && protocol->read != nullptr && protocol->ioctl != nullptr;
}

// Reads and copies a file. The copy can be wiped; the bytes that the file's read() returned cannot,
// because the program may still use them.
mp_obj_t read_file_by_method(mp_obj_t file) {
    mp_obj_t call[2];
    mp_load_method(file, MP_QSTR_read, call);
    mp_buffer_info_t bytes;
    mp_get_buffer_raise(mp_call_method_n_kw(0, 0, call), &bytes, MP_BUFFER_READ);
    return mp_obj_new_bytes(static_cast<const byte*>(bytes.buf), bytes.len);
}

// Returns less than `size` at the end of the file. A file written in Python may keep the buffer, or
// return any number.
size_t read_from(mp_obj_t file, char* buf, size_t size) {
    size_t got = 0;
    while (got < size) {
        int error = 0;
        const mp_uint_t count = mp_stream_rw(file, buf + got, size - got, &error,
                                             MP_STREAM_RW_READ | MP_STREAM_RW_ONCE);
        if (error == 0 && count > size - got)
            error = MP_EIO;
        if (error != 0)
            mp_raise_OSError(error);
        if (count == 0)
            break;
        got += count;
    }
    return got;
}

mp_obj_t read_file(mp_obj_t file) {
    if (!is_stream(file))
        return read_file_by_method(file);
    // The size is read first, because a growing buffer would leave copies of a key in the heap.
    int error = 0;
    const mp_off_t end = mp_stream_seek(file, 0, MP_SEEK_END, &error);
    if (end == static_cast<mp_off_t>(-1) || mp_stream_seek(file, 0, MP_SEEK_SET, &error) != 0)
        return read_file_by_method(file);
    // A directory has a size, too; only a read fails.
    read_from(file, m_new(char, 1), 1);
    if (mp_stream_seek(file, 0, MP_SEEK_SET, &error) != 0)
        mp_raise_OSError(error);
    const size_t size = ussl_size(end);
    vstr_t vstr;
    vstr_init_len(&vstr, size);
    nlr_buf_t nlr;
    if (nlr_push(&nlr) != 0) {
        ussl::wipe(vstr.buf, size);
        nlr_jump(nlr.ret_val);
    }
    vstr.len = read_from(file, vstr.buf, size);
    nlr_pop();
    return mp_obj_new_bytes_from_vstr(&vstr);
}

void close_file(mp_obj_t file) {
    if (is_stream(file)) {
        mp_stream_close(file);
        return;
    }
    mp_obj_t call[2];
    mp_load_method_maybe(file, MP_QSTR_close, call);
    if (call[0] != MP_OBJ_NULL)
        mp_call_method_n_kw(0, 0, call);
}

// Opens a file. Raises OSError with the errno and a text that names the argument.
mp_obj_t open_file(mp_obj_t path, qstr argument) {
    nlr_buf_t nlr;
    if (nlr_push(&nlr) == 0) {
        const mp_obj_t arguments[2] = {path, MP_OBJ_NEW_QSTR(MP_QSTR_rb)};
        const mp_obj_t file =
            mp_call_function_n_kw(MP_OBJ_FROM_PTR(&mp_builtin_open_obj), 2, 0, arguments);
        nlr_pop();
        return file;
    }
    const mp_obj_t exception = MP_OBJ_FROM_PTR(nlr.ret_val);
    const mp_obj_t number = mp_obj_exception_get_value(exception);
    if (!mp_obj_is_exact_type(exception, &mp_type_OSError) || !mp_obj_is_small_int(number))
        nlr_jump(nlr.ret_val);
    mp_int_t error = MP_OBJ_SMALL_INT_VALUE(number);
    if (error == MP_ENODEV)  // no file system is mounted
        error = MP_ENOENT;
    vstr_t text;
    vstr_init(&text, 64);
    constexpr int most = 200;
    vstr_printf(&text, "%q '%.*s' cannot be opened", argument, most, mp_obj_str_get_str(path));
    const mp_obj_t values[2] = {MP_OBJ_NEW_SMALL_INT(error), mp_obj_new_str_from_vstr(&text)};
    nlr_raise(mp_obj_exception_make_new(&mp_type_OSError, 2, 0, values));
}

bool is_root_store(const mp_buffer_info_t& bytes) {
    return ussl::is_root_store({static_cast<const uint8_t*>(bytes.buf), bytes.len});
}

// Returns a memoryview of a root store in a file of flash (romfs), or MP_OBJ_NULL.
mp_obj_t store_in_flash(mp_obj_t file) {
    mp_buffer_info_t bytes;
    if (!mp_get_buffer(file, &bytes, MP_BUFFER_READ) || !is_root_store(bytes) ||
        !micropython::is_in_flash(bytes.buf))
        return MP_OBJ_NULL;
    return mp_obj_new_memoryview('B', bytes.len, bytes.buf);
}

mp_obj_t load_file(mp_obj_t path, qstr argument, bool may_be_store) {
    const mp_obj_t file = open_file(path, argument);
    nlr_buf_t nlr;
    if (nlr_push(&nlr) != 0) {
        close_file(file);
        nlr_jump(nlr.ret_val);
    }
    mp_obj_t content = may_be_store ? store_in_flash(file) : MP_OBJ_NULL;
    if (content == MP_OBJ_NULL)
        content = read_file(file);
    nlr_pop();
    close_file(file);
    return content;
}

void load(ussl_source_t* source, qstr argument, mp_obj_t given, bool is_content,
          bool may_be_store) {
    *source = {argument, given, given, false, false};
    mp_buffer_info_t bytes;
    if (given == mp_const_none || ussl_is_bytes_like(given, &bytes))
        return;
    if (!mp_obj_is_str(given))
        ussl_raise_wrong_type(
            argument, USSL_ARGUMENT("a path (str), or its content (bytes or PEM)", "str or bytes"));
    size_t size;
    const char* text = mp_obj_str_get_data(given, &size);
    if (is_content || std::string_view(text, size).find("-----BEGIN") != std::string_view::npos)
        return;
    source->content = load_file(given, argument, may_be_store);
    source->from_file = true;
}

}  // namespace

void ussl_load(ussl_source_t* source, qstr argument, mp_obj_t given, bool is_content) {
    load(source, argument, given, is_content, false);
}

void ussl_load_trusted(ussl_source_t* source, qstr argument, mp_obj_t given, bool is_content) {
    load(source, argument, given, is_content, true);
    mp_buffer_info_t bytes;
    if (!mp_get_buffer(source->content, &bytes, MP_BUFFER_READ) || !is_root_store(bytes))
        return;
    source->is_store = true;
    // The content of other objects can move or change.
    if (!mp_obj_is_exact_type(source->content, &mp_type_bytes) &&
        !mp_obj_is_exact_type(source->content, &mp_type_memoryview))
        source->content = mp_obj_new_bytes(static_cast<const byte*>(bytes.buf), bytes.len);
}

void ussl_source_wipe(const ussl_source_t* source) {
    mp_buffer_info_t bytes;
    if (source->from_file && !source->is_store &&
        mp_get_buffer(source->content, &bytes, MP_BUFFER_READ))
        ussl::wipe(bytes.buf, bytes.len);
}
