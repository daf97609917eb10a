#include "engine/queue/sqlite_sealed_pages.hpp"

#include <sqlite3.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <new>

#include "kernels/core/error.hpp"

namespace kiban::engine {
namespace {

using Page = std::array<unsigned char, kPageBytes>;

/// SQLite's own file lies behind this one.
struct SealedFile {
  sqlite3_file base;
  bool is_store;
  sqlite3_file* inner() { return reinterpret_cast<sqlite3_file*>(this + 1); }
};

SealedFile* sealed(sqlite3_file* file) { return reinterpret_cast<SealedFile*>(file); }
sqlite3_file* inner(sqlite3_file* file) { return sealed(file)->inner(); }
const sqlite3_io_methods* of(sqlite3_file* file) { return inner(file)->pMethods; }

// Each step is a bijection of the word that it takes in, so that no change of one word goes unseen.
std::uint64_t seal(const unsigned char* page, sqlite3_int64 offset) {
  std::uint64_t sum = 0xCBF29CE484222325 ^ static_cast<std::uint64_t>(offset);
  for (int at = 0; at < kPageBytes - kPageSealBytes; at += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, page + at, 8);
    sum = (sum ^ word) * 0x100000001B3;
    sum ^= sum >> 32;
  }
  return sum;
}

bool is_page(sqlite3_file* file, int bytes, sqlite3_int64 offset) {
  return sealed(file)->is_store && bytes == kPageBytes && offset % kPageBytes == 0;
}

int read(sqlite3_file* file, void* to, int bytes, sqlite3_int64 offset) {
  const int code = of(file)->xRead(inner(file), to, bytes, offset);
  if (!is_page(file, bytes, offset)) return code;
  // SQLite would take what lies behind the end for zeros. Only a file that is being made has no first page.
  if (code == SQLITE_IOERR_SHORT_READ && offset > 0) return SQLITE_IOERR_DATA;
  if (code != SQLITE_OK) return code;
  const auto* page = static_cast<const unsigned char*>(to);
  std::uint64_t found = 0;
  std::memcpy(&found, page + kPageBytes - kPageSealBytes, kPageSealBytes);
  return found == seal(page, offset) ? SQLITE_OK : SQLITE_IOERR_DATA;
}

int write(sqlite3_file* file, const void* from, int bytes, sqlite3_int64 offset) {
  if (!is_page(file, bytes, offset)) return of(file)->xWrite(inner(file), from, bytes, offset);
  Page page;
  std::memcpy(page.data(), from, kPageBytes);
  const std::uint64_t sum = seal(page.data(), offset);
  std::memcpy(page.data() + kPageBytes - kPageSealBytes, &sum, kPageSealBytes);
  return of(file)->xWrite(inner(file), page.data(), bytes, offset);
}

// The rest is handed on.
int close(sqlite3_file* file) { return of(file)->xClose(inner(file)); }
int truncate(sqlite3_file* file, sqlite3_int64 size) { return of(file)->xTruncate(inner(file), size); }
int sync(sqlite3_file* file, int flags) { return of(file)->xSync(inner(file), flags); }
int file_size(sqlite3_file* file, sqlite3_int64* size) { return of(file)->xFileSize(inner(file), size); }
int lock(sqlite3_file* file, int level) { return of(file)->xLock(inner(file), level); }
int unlock(sqlite3_file* file, int level) { return of(file)->xUnlock(inner(file), level); }
int check_lock(sqlite3_file* file, int* answer) { return of(file)->xCheckReservedLock(inner(file), answer); }
int control(sqlite3_file* file, int what, void* value) { return of(file)->xFileControl(inner(file), what, value); }
int sector_size(sqlite3_file* file) { return of(file)->xSectorSize(inner(file)); }
int characteristics(sqlite3_file* file) { return of(file)->xDeviceCharacteristics(inner(file)); }
int shm_map(sqlite3_file* file, int page, int bytes, int extend, void volatile** map) {
  return of(file)->xShmMap(inner(file), page, bytes, extend, map);
}
int shm_lock(sqlite3_file* file, int at, int count, int flags) {
  return of(file)->xShmLock(inner(file), at, count, flags);
}
void shm_barrier(sqlite3_file* file) { of(file)->xShmBarrier(inner(file)); }
int shm_unmap(sqlite3_file* file, int remove) { return of(file)->xShmUnmap(inner(file), remove); }

// Version 2: pages are never mapped into memory, where nobody would look at their seals.
constexpr sqlite3_io_methods kMethods{
    2,         close,      read,    write,       truncate,        sync,    file_size, lock,
    unlock,    check_lock, control, sector_size, characteristics, shm_map, shm_lock,  shm_barrier,
    shm_unmap, nullptr,    nullptr};

int open(sqlite3_vfs* layer, const char* name, sqlite3_file* file, int flags, int* given) {
  auto* base = static_cast<sqlite3_vfs*>(layer->pAppData);
  auto* made = new (file) SealedFile{{nullptr}, (flags & SQLITE_OPEN_MAIN_DB) != 0};
  const int code = base->xOpen(base, name, made->inner(), flags, given);
  if (made->inner()->pMethods) made->base.pMethods = &kMethods;
  return code;
}

// What is not about files takes the layer itself, and must see that of SQLite.
sqlite3_vfs* base_of(sqlite3_vfs* layer) { return static_cast<sqlite3_vfs*>(layer->pAppData); }
int remove(sqlite3_vfs* layer, const char* name, int flush) {
  return base_of(layer)->xDelete(base_of(layer), name, flush);
}
int access(sqlite3_vfs* layer, const char* name, int flags, int* answer) {
  return base_of(layer)->xAccess(base_of(layer), name, flags, answer);
}
int full_path(sqlite3_vfs* layer, const char* name, int bytes, char* out) {
  return base_of(layer)->xFullPathname(base_of(layer), name, bytes, out);
}
int randomness(sqlite3_vfs* layer, int bytes, char* out) {
  return base_of(layer)->xRandomness(base_of(layer), bytes, out);
}
int sleep(sqlite3_vfs* layer, int microseconds) { return base_of(layer)->xSleep(base_of(layer), microseconds); }
int current_time(sqlite3_vfs* layer, double* time) { return base_of(layer)->xCurrentTime(base_of(layer), time); }
int last_error(sqlite3_vfs* layer, int bytes, char* text) {
  return base_of(layer)->xGetLastError(base_of(layer), bytes, text);
}

sqlite3_vfs* make_layer() {
  static sqlite3_vfs layer{};
  sqlite3_vfs* base = sqlite3_vfs_find(nullptr);
  if (!base) throw Error(ErrorCode::internal, "SQLite knows no files; check its installation");
  layer.iVersion = 1;
  layer.szOsFile = static_cast<int>(sizeof(SealedFile)) + base->szOsFile;
  layer.mxPathname = base->mxPathname;
  layer.zName = "kiban-sealed-pages";
  layer.pAppData = base;
  layer.xOpen = open;
  layer.xDelete = remove;
  layer.xAccess = access;
  layer.xFullPathname = full_path;
  layer.xRandomness = randomness;
  layer.xSleep = sleep;
  layer.xCurrentTime = current_time;
  layer.xGetLastError = last_error;
  if (sqlite3_vfs_register(&layer, 0) != SQLITE_OK)
    throw Error(ErrorCode::internal, "SQLite takes no file layer; check its installation");
  return &layer;
}

}  // namespace

const char* sealed_pages() {
  static const sqlite3_vfs* layer = make_layer();
  return layer->zName;
}

}  // namespace kiban::engine
