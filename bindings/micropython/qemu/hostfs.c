// The host's files as the chip's file system, through semihosting: open, read, write, seek and stat. Semihosting
// cannot list a folder.

#include <string.h>

#include "extmod/vfs.h"
#include "py/mperrno.h"
#include "py/runtime.h"
#include "py/stream.h"

#include "board.h"
#include "semihosting.h"

typedef struct {
    mp_obj_base_t base;
    uint32_t handle; // SEMIHOSTING_FAILED: closed
    uint32_t position; // semihosting has no function for it
} host_file_t;

// The modes of fopen, "r" to "a+b", are 0 to 11 in SYS_OPEN.
enum { READ = 0, BINARY = 1, UPDATE = 2, WRITE = 4, APPEND = 8 };

static uint32_t open_file(const char *path, uint32_t mode) {
    const struct {
        const char *path;
        uint32_t mode;
        uint32_t length;
    } arguments = { path, mode, strlen(path) };
    return semihosting(SYS_OPEN, &arguments);
}

static void close_file(uint32_t handle) {
    semihosting(SYS_CLOSE, &handle);
}

static uint32_t length_of(uint32_t handle) {
    return semihosting(SYS_FLEN, &handle);
}

static int host_errno(void) {
    const int error = semihosting(SYS_ERRNO, NULL);
    return error ? error : MP_EIO;
}

static mp_uint_t file_read(mp_obj_t self_in, void *buf, mp_uint_t size, int *errcode) {
    host_file_t *self = MP_OBJ_TO_PTR(self_in);
    const struct {
        uint32_t handle;
        void *buf;
        uint32_t size;
    } arguments = { self->handle, buf, size };
    const uint32_t missing = self->handle == SEMIHOSTING_FAILED ? SEMIHOSTING_FAILED : semihosting(SYS_READ, &arguments);
    if (missing > size) {
        *errcode = self->handle == SEMIHOSTING_FAILED ? MP_EBADF : host_errno();
        return MP_STREAM_ERROR;
    }
    self->position += size - missing;
    return size - missing;
}

static mp_uint_t file_write(mp_obj_t self_in, const void *buf, mp_uint_t size, int *errcode) {
    host_file_t *self = MP_OBJ_TO_PTR(self_in);
    const struct {
        uint32_t handle;
        const void *buf;
        uint32_t size;
    } arguments = { self->handle, buf, size };
    const uint32_t missing = self->handle == SEMIHOSTING_FAILED ? SEMIHOSTING_FAILED : semihosting(SYS_WRITE, &arguments);
    if (missing > size || (missing == size && size)) {
        *errcode = self->handle == SEMIHOSTING_FAILED ? MP_EBADF : host_errno();
        return MP_STREAM_ERROR;
    }
    self->position += size - missing;
    return size - missing;
}

static mp_uint_t file_ioctl(mp_obj_t self_in, mp_uint_t request, uintptr_t arg, int *errcode) {
    host_file_t *self = MP_OBJ_TO_PTR(self_in);
    if (request == MP_STREAM_CLOSE) {
        if (self->handle != SEMIHOSTING_FAILED) {
            close_file(self->handle);
            self->handle = SEMIHOSTING_FAILED;
        }
        return 0;
    }
    if (self->handle == SEMIHOSTING_FAILED) {
        *errcode = MP_EBADF;
        return MP_STREAM_ERROR;
    }
    if (request == MP_STREAM_FLUSH) {
        return 0;
    }
    if (request == MP_STREAM_SEEK) {
        struct mp_stream_seek_t *seek = (struct mp_stream_seek_t *)arg;
        const uint32_t from = seek->whence == MP_SEEK_SET ? 0 : seek->whence == MP_SEEK_CUR ? self->position : length_of(self->handle);
        const struct {
            uint32_t handle;
            uint32_t position;
        } arguments = { self->handle, from + seek->offset };
        if (semihosting(SYS_SEEK, &arguments) == SEMIHOSTING_FAILED) {
            *errcode = MP_EINVAL;
            return MP_STREAM_ERROR;
        }
        seek->offset = self->position = arguments.position;
        return 0;
    }
    *errcode = MP_EINVAL;
    return MP_STREAM_ERROR;
}

static const mp_rom_map_elem_t file_locals_table[] = {
    { MP_ROM_QSTR(MP_QSTR_read), MP_ROM_PTR(&mp_stream_read_obj) },
    { MP_ROM_QSTR(MP_QSTR_readinto), MP_ROM_PTR(&mp_stream_readinto_obj) },
    { MP_ROM_QSTR(MP_QSTR_readline), MP_ROM_PTR(&mp_stream_unbuffered_readline_obj) },
    { MP_ROM_QSTR(MP_QSTR_readlines), MP_ROM_PTR(&mp_stream_unbuffered_readlines_obj) },
    { MP_ROM_QSTR(MP_QSTR_write), MP_ROM_PTR(&mp_stream_write_obj) },
    { MP_ROM_QSTR(MP_QSTR_flush), MP_ROM_PTR(&mp_stream_flush_obj) },
    { MP_ROM_QSTR(MP_QSTR_seek), MP_ROM_PTR(&mp_stream_seek_obj) },
    { MP_ROM_QSTR(MP_QSTR_tell), MP_ROM_PTR(&mp_stream_tell_obj) },
    { MP_ROM_QSTR(MP_QSTR_close), MP_ROM_PTR(&mp_stream_close_obj) },
    { MP_ROM_QSTR(MP_QSTR___del__), MP_ROM_PTR(&mp_stream_close_obj) },
    { MP_ROM_QSTR(MP_QSTR___enter__), MP_ROM_PTR(&mp_identity_obj) },
    { MP_ROM_QSTR(MP_QSTR___exit__), MP_ROM_PTR(&mp_stream___exit___obj) },
};
static MP_DEFINE_CONST_DICT(file_locals, file_locals_table);

static const mp_stream_p_t binary_protocol = { .read = file_read, .write = file_write, .ioctl = file_ioctl };
static const mp_stream_p_t text_protocol = { .read = file_read, .write = file_write, .ioctl = file_ioctl, .is_text = true };

static MP_DEFINE_CONST_OBJ_TYPE(binary_type, MP_QSTR_FileIO, MP_TYPE_FLAG_ITER_IS_STREAM,
    protocol, &binary_protocol, locals_dict, &file_locals);
static MP_DEFINE_CONST_OBJ_TYPE(text_type, MP_QSTR_TextIOWrapper, MP_TYPE_FLAG_ITER_IS_STREAM,
    protocol, &text_protocol, locals_dict, &file_locals);

static mp_obj_t fs_open(mp_obj_t self_in, mp_obj_t path_in, mp_obj_t mode_in) {
    (void)self_in;
    uint32_t mode = READ;
    bool text = true;
    for (const char *m = mp_obj_str_get_str(mode_in); *m; ++m) {
        text = text && *m != 'b';
        mode |= *m == 'w' ? WRITE : *m == 'a' ? APPEND : *m == '+' ? UPDATE : 0;
    }
    host_file_t *file = mp_obj_malloc_with_finaliser(host_file_t, text ? &text_type : &binary_type);
    file->position = 0;
    file->handle = open_file(mp_obj_str_get_str(path_in), mode | BINARY);
    if (file->handle == SEMIHOSTING_FAILED) {
        mp_raise_OSError(host_errno());
    }
    return MP_OBJ_FROM_PTR(file);
}
static MP_DEFINE_CONST_FUN_OBJ_3(fs_open_obj, fs_open);

static mp_import_stat_t kind_and_size(const char *path, uint32_t *size) {
    // A folder can also be opened for reading, but only a folder contains ".".
    const size_t length = strlen(path);
    char inside[length + 3];
    memcpy(inside, path, length);
    strcpy(inside + length, length ? "/." : ".");
    uint32_t handle = open_file(inside, READ | BINARY);
    if (handle != SEMIHOSTING_FAILED) {
        close_file(handle);
        *size = 0;
        return MP_IMPORT_STAT_DIR;
    }
    handle = open_file(path, READ | BINARY);
    if (handle == SEMIHOSTING_FAILED) {
        return MP_IMPORT_STAT_NO_EXIST;
    }
    *size = length_of(handle);
    close_file(handle);
    return MP_IMPORT_STAT_FILE;
}

static mp_obj_t fs_stat(mp_obj_t self_in, mp_obj_t path_in) {
    (void)self_in;
    uint32_t size;
    const mp_import_stat_t kind = kind_and_size(mp_obj_str_get_str(path_in), &size);
    if (kind == MP_IMPORT_STAT_NO_EXIST) {
        mp_raise_OSError(MP_ENOENT);
    }
    mp_obj_tuple_t *stat = MP_OBJ_TO_PTR(mp_obj_new_tuple(10, NULL));
    for (size_t i = 0; i < 10; ++i) {
        stat->items[i] = MP_OBJ_NEW_SMALL_INT(0);
    }
    stat->items[0] = MP_OBJ_NEW_SMALL_INT(kind == MP_IMPORT_STAT_DIR ? MP_S_IFDIR : MP_S_IFREG);
    stat->items[6] = mp_obj_new_int_from_uint(size);
    return MP_OBJ_FROM_PTR(stat);
}
static MP_DEFINE_CONST_FUN_OBJ_2(fs_stat_obj, fs_stat);

static mp_import_stat_t fs_import_stat(void *self, const char *path) {
    (void)self;
    uint32_t size;
    return kind_and_size(path, &size);
}

static mp_obj_t fs_mount(mp_obj_t self_in, mp_obj_t readonly, mp_obj_t mkfs) {
    (void)self_in, (void)readonly, (void)mkfs;
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_3(fs_mount_obj, fs_mount);

static mp_obj_t fs_umount(mp_obj_t self_in) {
    (void)self_in;
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(fs_umount_obj, fs_umount);

static const mp_rom_map_elem_t fs_locals_table[] = {
    { MP_ROM_QSTR(MP_QSTR_mount), MP_ROM_PTR(&fs_mount_obj) },
    { MP_ROM_QSTR(MP_QSTR_umount), MP_ROM_PTR(&fs_umount_obj) },
    { MP_ROM_QSTR(MP_QSTR_open), MP_ROM_PTR(&fs_open_obj) },
    { MP_ROM_QSTR(MP_QSTR_stat), MP_ROM_PTR(&fs_stat_obj) },
};
static MP_DEFINE_CONST_DICT(fs_locals, fs_locals_table);

static const mp_vfs_proto_t fs_protocol = { .import_stat = fs_import_stat };

static MP_DEFINE_CONST_OBJ_TYPE(fs_type, MP_QSTR_HostFS, MP_TYPE_FLAG_NONE, protocol, &fs_protocol, locals_dict, &fs_locals);

static const mp_obj_base_t fs = { &fs_type };

void ussl_board_mount_host(void) {
    const mp_obj_t arguments[] = { MP_OBJ_FROM_PTR(&fs), MP_OBJ_NEW_QSTR(MP_QSTR__slash_) };
    mp_vfs_mount(2, arguments, (mp_map_t *)&mp_const_empty_map);
    // Paths without a leading slash are relative to QEMU's working directory.
    MP_STATE_VM(vfs_cur) = MP_STATE_VM(vfs_mount_table);
}
