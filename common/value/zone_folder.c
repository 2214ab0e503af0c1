/* Names. Of a name only letters, digits, '_', '+', '-' and '/' reach the file system, and no part of it is empty: so no
 * name leads out of the folder. Each part is looked for in its folder without regard to case, as PostgreSQL does.
 *
 * PostgreSQL looks among abbreviations first. A few files are called like one, with other rules: CET is +1 all the year
 * to PostgreSQL, the file CET has summer time. Those names are refused, as nothing good can come of either reading. The
 * abbreviations of UTC agree.
 *
 * The list of zones only grows, at its head: readers walk it without a lock. It is bounded by the files there are,
 * since names are compared without regard to case. */
#include "common/value/zone_folder.h"

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "common/base/buffer.h"
#include "common/base/file.h"
#include "common/base/limits.h"
#include "common/base/memory.h"

#define DEFAULT_FOLDER "/usr/share/zoneinfo"

struct entry {
  struct entry *next;
  tly_time_zone *zone;
  size_t name_size;
  char name[];
};

static _Atomic(struct entry *) zones;
static pthread_mutex_t adding = PTHREAD_MUTEX_INITIALIZER;

/* --- names -------------------------------------------------------------------------------------------------------- */

static bool is_name_of(struct tly_text name, const char *word) {
  return name.size == strlen(word) && strncasecmp(name.data, word, name.size) == 0;
}

static bool is_one_of(struct tly_text name, const char *const *words) {
  for (; *words != NULL; words++)
    if (is_name_of(name, *words))
      return true;
  return false;
}

/* May it be the path of a file below the folder? */
static bool is_path(struct tly_text name) {
  if (name.size == 0 || name.size > TLY_ZONE_NAME_BYTES_MAX)
    return false;
  for (uint32_t i = 0; i < name.size; i++) {
    char c = name.data[i];
    bool is_plain =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '+' || c == '-';
    bool ends_part = c == '/' && i > 0 && i + 1 < name.size && name.data[i - 1] != '/';
    if (!is_plain && !ends_part)
      return false;
  }
  return true;
}

static bool has_digit(struct tly_text name) {
  for (uint32_t i = 0; i < name.size; i++)
    if (name.data[i] >= '0' && name.data[i] <= '9')
      return true;
  return false;
}

static enum tly_status not_recognized(struct tly_text name, struct tly_error *error) {
  int shown = name.size < TLY_ZONE_NAME_BYTES_MAX ? (int)name.size : TLY_ZONE_NAME_BYTES_MAX;
  enum tly_status status = TLY_E_INVALID_PARAMETER;
  if (has_digit(name)) { /* to PostgreSQL it may be a rule of its own: 'UTC+3', 'EST5EDT4,M3.2.0,M11.1.0' */
    status = TLY_E_NOT_SUPPORTED;
    (void)TLY_FAIL(error, status, "time zone \"%.*s\" is not supported", shown, name.data);
  } else {
    (void)TLY_FAIL(error, status, "time zone \"%.*s\" not recognized", shown, name.data);
  }
  tly_error_hint(error, "a zone's full name is wanted, like Europe/Berlin");
  return status;
}

static enum tly_status refuse_abbreviation(struct tly_text name, struct tly_error *error) {
  (void)TLY_FAIL(error, TLY_E_NOT_SUPPORTED, "the abbreviation \"%.*s\" as a time zone is not supported",
                 (int)name.size, name.data);
  tly_error_hint(error, "a zone's full name is wanted, like Europe/Berlin");
  return TLY_E_NOT_SUPPORTED;
}

/* --- files -------------------------------------------------------------------------------------------------------- */

/* Append to `path` the name in that folder which is `part` but for case; false when there is none. */
static bool find_part(struct tly_buffer *path, struct tly_text part) {
  DIR *folder = opendir(tly_buffer_text(path));
  if (folder == NULL)
    return false;
  const struct dirent *item;
  while ((item = readdir(folder)) != NULL && !is_name_of(part, item->d_name))
    continue;
  if (item != NULL)
    tly_buffer_print(path, "/%s", item->d_name);
  closedir(folder);
  return item != NULL;
}

static bool is_regular_file(const char *path) {
  struct stat found;
  return stat(path, &found) == 0 && S_ISREG(found.st_mode);
}

/* *path, a folder, becomes that of the zone's file; each part of the name is a folder but the last. */
static bool find_file(struct tly_buffer *path, struct tly_text name) {
  while (name.size > 0) {
    const char *slash = memchr(name.data, '/', name.size);
    struct tly_text part = {name.data, slash == NULL ? name.size : (uint32_t)(slash - name.data)};
    if (!find_part(path, part))
      return false;
    uint32_t used = part.size + (slash != NULL);
    name = (struct tly_text){name.data + used, name.size - used};
  }
  return is_regular_file(tly_buffer_text(path));
}

static enum tly_status no_folder(const char *folder, struct tly_error *error) {
  (void)TLY_FAIL(error, TLY_E_CONFIG, "the rules of time zones are not in %s", folder);
  tly_error_hint(error, "install the package tzdata, or set TZDIR to the folder they are in");
  return TLY_E_CONFIG;
}

static enum tly_status read_zone(const char *path, struct tly_text name, tly_time_zone **out, struct tly_error *error) {
  struct tly_buffer bytes = {0};
  enum tly_status status = tly_file_read(path, TLY_ZONE_FILE_BYTES_MAX, &bytes, error);
  if (status == TLY_OK && !tly_time_zone_is_file(bytes.data, bytes.size)) {
    status = not_recognized(name, error); /* a list or a text that lies there, too */
  } else if (status == TLY_OK) {
    struct tly_error inner = TLY_ERROR_NONE;
    status = tly_time_zone_read(bytes.data, bytes.size, out, &inner);
    if (status != TLY_OK)
      status = TLY_FAIL(error, status, "%s: %s", path, inner.message);
  }
  tly_buffer_free(&bytes);
  return status;
}

/* --- the list ----------------------------------------------------------------------------------------------------- */

static const tly_time_zone *find_known(struct tly_text name) {
  const struct entry *entry = atomic_load_explicit(&zones, memory_order_acquire);
  for (; entry != NULL; entry = entry->next)
    if (entry->name_size == name.size && strncasecmp(entry->name, name.data, name.size) == 0)
      return entry->zone;
  return NULL;
}

/* Keep `zone`, unless another thread was first. Returns the one that is kept. */
static const tly_time_zone *keep(struct tly_text name, tly_time_zone *zone) {
  pthread_mutex_lock(&adding);
  const tly_time_zone *known = find_known(name);
  if (known == NULL) {
    struct entry *entry = tly_malloc(sizeof *entry + name.size);
    entry->zone = zone;
    entry->name_size = name.size;
    memcpy(entry->name, name.data, name.size);
    entry->next = atomic_load_explicit(&zones, memory_order_relaxed);
    atomic_store_explicit(&zones, entry, memory_order_release);
    known = zone;
  } else {
    tly_time_zone_free(zone);
  }
  pthread_mutex_unlock(&adding);
  return known;
}

static enum tly_status load(struct tly_text name, tly_time_zone **out, struct tly_error *error) {
  const char *folder = getenv("TZDIR");
  struct stat found;
  if (folder == NULL || folder[0] == '\0')
    folder = DEFAULT_FOLDER;
  if (stat(folder, &found) != 0 || !S_ISDIR(found.st_mode))
    return no_folder(folder, error);
  struct tly_buffer path = {0};
  tly_buffer_append_text(&path, folder);
  enum tly_status status =
      find_file(&path, name) ? read_zone(tly_buffer_text(&path), name, out, error) : not_recognized(name, error);
  tly_buffer_free(&path);
  return status;
}

enum tly_status tly_time_zone_find(struct tly_text name, const tly_time_zone **out, struct tly_error *error) {
  static const char *const utc[] = {"UTC", "UCT", "GMT", "Z", "ZULU", NULL};
  static const char *const ambiguous[] = {"CET", "EET", "EST", "HST", "MET", "MST", "WET", NULL};
  tly_time_zone *zone;
  *out = is_one_of(name, utc) ? tly_time_zone_utc() : find_known(name);
  if (*out != NULL)
    return TLY_OK;
  if (!is_path(name))
    return not_recognized(name, error);
  if (is_one_of(name, ambiguous))
    return refuse_abbreviation(name, error);
  TLY_TRY(load(name, &zone, error));
  *out = keep(name, zone);
  return TLY_OK;
}
