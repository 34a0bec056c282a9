/* Preloaded into a Python process: the Nth system call that would change something below given folders fails.
 *
 * FAULT_BELOW  folders, separated by colons; calls elsewhere are not counted
 * FAULT_AT     which call fails, from 1; 0 or unset: none
 * FAULT_ERRNO  the number of the error it fails with
 * FAULT_LASTS  set: every later call fails, too (a full or read-only file system), not only the one
 * FAULT_LOG    file to which every counted call is written
 *
 * Everything goes to the kernel by syscall(2), so that the library needs no symbol newer than the oldest system it runs on.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static int counted;

static long raw_open(const char *path, int flags, int mode) { return syscall(SYS_openat, AT_FDCWD, path, flags, mode); }

static int concerns(const char *path)
{
    const char *below = getenv("FAULT_BELOW");
    if (below == NULL || path == NULL || strncmp(program_invocation_short_name, "python", 6) != 0)
        return 0;
    while (*below) {
        size_t length = strcspn(below, ":");
        if (length && strncmp(path, below, length) == 0 && (path[length] == '/' || path[length] == 0))
            return 1;
        below += length;
        below += *below == ':';
    }
    return 0;
}

static void absolute(int folder, const char *path, char *out)
{
    out[0] = 0;
    if (path[0] != '/') {
        char link[64];
        if (folder == AT_FDCWD)
            snprintf(link, sizeof link, "/proc/self/cwd");
        else
            snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
        long length = syscall(SYS_readlinkat, AT_FDCWD, link, out, PATH_MAX - 2);
        if (length < 0)
            length = 0;
        out[length] = '/';
        out[length + 1] = 0;
    }
    strncat(out, path, PATH_MAX - 1 - strlen(out));
}

/* True when this call is to fail; errno is set then. */
static int fails(const char *call, int folder, const char *path)
{
    char whole[2 * PATH_MAX];
    int kept = errno;
    if (path != NULL) {
        absolute(folder, path, whole);
    } else {
        char link[64];
        snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
        long length = syscall(SYS_readlinkat, AT_FDCWD, link, whole, PATH_MAX - 1);
        whole[length < 0 ? 0 : length] = 0;
    }
    errno = kept;
    if (!concerns(whole))
        return 0;
    int number = __atomic_add_fetch(&counted, 1, __ATOMIC_SEQ_CST);
    const char *log = getenv("FAULT_LOG");
    if (log != NULL) {
        char line[2 * PATH_MAX + 64];
        int size = snprintf(line, sizeof line, "%d %d %s %s\n", (int)getpid(), number, call, whole);
        long handle = raw_open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
        if (handle >= 0) {
            syscall(SYS_write, (int)handle, line, (size_t)size);
            syscall(SYS_close, (int)handle);
        }
        errno = kept;
    }
    const char *at = getenv("FAULT_AT");
    const char *code = getenv("FAULT_ERRNO");
    int chosen = at == NULL ? 0 : atoi(at);
    if (chosen <= 0 || code == NULL || number < chosen || (number > chosen && getenv("FAULT_LASTS") == NULL))
        return 0;
    /* A full disk lets go of files. */
    if ((atoi(code) == ENOSPC || atoi(code) == EDQUOT) && (strcmp(call, "unlink") == 0 || strcmp(call, "rmdir") == 0))
        return 0;
    errno = atoi(code);
    return 1;
}

static int changes(int flags) { return (flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC)); }

#define MODE_OF(flags, last)                                   \
    int mode = 0;                                              \
    if ((flags) & (O_CREAT | O_TMPFILE)) {                     \
        va_list rest;                                          \
        va_start(rest, last);                                  \
        mode = va_arg(rest, int);                              \
        va_end(rest);                                          \
    }

int openat(int folder, const char *path, int flags, ...)
{
    MODE_OF(flags, flags)
    return changes(flags) && fails("open", folder, path) ? -1 : (int)syscall(SYS_openat, folder, path, flags, mode);
}
int openat64(int folder, const char *path, int flags, ...)
{
    MODE_OF(flags, flags)
    return changes(flags) && fails("open", folder, path) ? -1 : (int)syscall(SYS_openat, folder, path, flags, mode);
}
int open(const char *path, int flags, ...)
{
    MODE_OF(flags, flags)
    return changes(flags) && fails("open", AT_FDCWD, path) ? -1 : (int)raw_open(path, flags, mode);
}
int open64(const char *path, int flags, ...)
{
    MODE_OF(flags, flags)
    return changes(flags) && fails("open", AT_FDCWD, path) ? -1 : (int)raw_open(path, flags, mode);
}
ssize_t write(int handle, const void *data, size_t size)
{
    return fails("write", handle, NULL) ? -1 : syscall(SYS_write, handle, data, size);
}
int fsync(int handle) { return fails("fsync", handle, NULL) ? -1 : (int)syscall(SYS_fsync, handle); }
int fdatasync(int handle) { return fails("fdatasync", handle, NULL) ? -1 : (int)syscall(SYS_fdatasync, handle); }
int ftruncate(int handle, off_t size) { return fails("ftruncate", handle, NULL) ? -1 : (int)syscall(SYS_ftruncate, handle, size); }
int ftruncate64(int handle, off64_t size) { return fails("ftruncate", handle, NULL) ? -1 : (int)syscall(SYS_ftruncate, handle, size); }
int fchmod(int handle, mode_t mode) { return fails("fchmod", handle, NULL) ? -1 : (int)syscall(SYS_fchmod, handle, mode); }
int fchown(int handle, uid_t user, gid_t group)
{
    return fails("fchown", handle, NULL) ? -1 : (int)syscall(SYS_fchown, handle, user, group);
}
int fsetxattr(int handle, const char *name, const void *value, size_t size, int flags)
{
    return fails("fsetxattr", handle, NULL) ? -1 : (int)syscall(SYS_fsetxattr, handle, name, value, size, flags);
}
int setxattr(const char *path, const char *name, const void *value, size_t size, int flags)
{
    return fails("setxattr", AT_FDCWD, path) ? -1 : (int)syscall(SYS_setxattr, path, name, value, size, flags);
}
int fremovexattr(int handle, const char *name)
{
    return fails("fremovexattr", handle, NULL) ? -1 : (int)syscall(SYS_fremovexattr, handle, name);
}
int removexattr(const char *path, const char *name)
{
    return fails("removexattr", AT_FDCWD, path) ? -1 : (int)syscall(SYS_removexattr, path, name);
}
int truncate(const char *path, off_t size) { return fails("truncate", AT_FDCWD, path) ? -1 : (int)syscall(SYS_truncate, path, size); }
int truncate64(const char *path, off64_t size) { return fails("truncate", AT_FDCWD, path) ? -1 : (int)syscall(SYS_truncate, path, size); }
int chmod(const char *path, mode_t mode)
{
    return fails("chmod", AT_FDCWD, path) ? -1 : (int)syscall(SYS_fchmodat, AT_FDCWD, path, mode);
}
int chown(const char *path, uid_t user, gid_t group)
{
    return fails("chown", AT_FDCWD, path) ? -1 : (int)syscall(SYS_fchownat, AT_FDCWD, path, user, group, 0);
}
int mkdir(const char *path, mode_t mode)
{
    return fails("mkdir", AT_FDCWD, path) ? -1 : (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
}
int mkdirat(int folder, const char *path, mode_t mode)
{
    return fails("mkdir", folder, path) ? -1 : (int)syscall(SYS_mkdirat, folder, path, mode);
}
int unlink(const char *path) { return fails("unlink", AT_FDCWD, path) ? -1 : (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0); }
int unlinkat(int folder, const char *path, int flags)
{
    return fails("unlink", folder, path) ? -1 : (int)syscall(SYS_unlinkat, folder, path, flags);
}
int rmdir(const char *path)
{
    return fails("rmdir", AT_FDCWD, path) ? -1 : (int)syscall(SYS_unlinkat, AT_FDCWD, path, AT_REMOVEDIR);
}
int rename(const char *old, const char *new)
{
    return fails("rename", AT_FDCWD, new) ? -1 : (int)syscall(SYS_renameat2, AT_FDCWD, old, AT_FDCWD, new, 0);
}
int renameat(int from, const char *old, int to, const char *new)
{
    return fails("rename", to, new) ? -1 : (int)syscall(SYS_renameat2, from, old, to, new, 0);
}
int symlink(const char *text, const char *path)
{
    return fails("symlink", AT_FDCWD, path) ? -1 : (int)syscall(SYS_symlinkat, text, AT_FDCWD, path);
}
int link(const char *old, const char *new)
{
    return fails("link", AT_FDCWD, new) ? -1 : (int)syscall(SYS_linkat, AT_FDCWD, old, AT_FDCWD, new, 0);
}
int utimensat(int folder, const char *path, const struct timespec times[2], int flags)
{
    int failing = fails("utimensat", folder, path);
    return failing ? -1 : (int)syscall(SYS_utimensat, folder, path, times, flags);
}
int futimens(int handle, const struct timespec times[2])
{
    return fails("futimens", handle, NULL) ? -1 : (int)syscall(SYS_utimensat, handle, NULL, times, 0);
}
