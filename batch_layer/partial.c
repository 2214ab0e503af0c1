#include "batch_layer/partial.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/assert.h"
#include "common/base/crash_point.h"
#include "common/base/file.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/store/run_reader.h"

struct tly_partial_writer {
  const char *directory;
  int64_t run;
  const struct tly_view_program *program;
  char *folder; /* under its first name; NULL once it has its last one */
  tly_run_writer *writer;
  struct tly_run_piece *pieces; /* one a part */
  uint32_t piece_count;
};

static char *path_of(const char *directory, const char *name) {
  struct tly_buffer path = {0};
  tly_buffer_print(&path, "%s/partials", directory);
  if (name != NULL)
    tly_buffer_print(&path, "/%s", name);
  char *text = tly_strdup(tly_buffer_text(&path));
  tly_buffer_free(&path);
  return text;
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

/* Who reads files of a run locks its folder, so there is something to lock. */
static enum tly_status make_folder(const char *folder, struct tly_error *error) {
  struct tly_buffer lock = {0};
  int fd = -1;
  tly_buffer_print(&lock, "%s/lock", folder);
  enum tly_status status = tly_file_remove_tree(folder, error);
  if (status == TLY_OK)
    status = tly_file_make_folder(folder, error);
  if (status == TLY_OK)
    status = tly_file_lock(tly_buffer_text(&lock), true, &fd, error);
  if (fd >= 0)
    close(fd);
  tly_buffer_free(&lock);
  return status;
}

enum tly_status tly_partial_open(const char *directory, int64_t run, uint32_t number,
                                 const struct tly_view_program *program, tly_partial_writer **out,
                                 struct tly_error *error) {
  char name[32];
  tly_partial_writer *writer = tly_calloc(1, sizeof *writer);
  snprintf(name, sizeof name, "new-%" PRIu32, number);
  writer->directory = directory;
  writer->run = run;
  writer->program = program;
  writer->folder = path_of(directory, name);
  writer->pieces = tly_calloc(program->part_count, sizeof *writer->pieces);
  enum tly_status status = make_folder(writer->folder, error);
  *out = writer;
  if (status != TLY_OK) {
    tly_partial_close(writer);
    *out = NULL;
  }
  return status;
}

void tly_partial_close(tly_partial_writer *writer) {
  struct tly_error error;
  if (writer == NULL)
    return;
  tly_run_writer_close(writer->writer);
  if (writer->folder != NULL && tly_file_remove_tree(writer->folder, &error) != TLY_OK)
    tly_log(TLY_LOG_WARN, "folder not removed", "error=\"%s\"", error.message);
  for (uint32_t i = 0; i < writer->piece_count; i++)
    tly_run_piece_free(&writer->pieces[i]);
  tly_free(writer->pieces);
  tly_free(writer->folder);
  tly_free(writer);
}

static enum tly_status end_part(tly_partial_writer *writer, struct tly_error *error) {
  if (writer->writer == NULL)
    return TLY_OK;
  enum tly_status status = tly_run_writer_finish(writer->writer, &writer->pieces[writer->piece_count++], error);
  tly_run_writer_close(writer->writer);
  writer->writer = NULL;
  return status;
}

enum tly_status tly_partial_begin_part(tly_partial_writer *writer, uint32_t part, struct tly_error *error) {
  TLY_TRY(end_part(writer, error));
  TLY_ASSERT(part == writer->piece_count);
  return tly_run_writer_open(writer->folder, writer->run, writer->program, part, 0, 1, &writer->writer, error);
}

enum tly_status tly_partial_append(void *context, const struct tly_group_slice *slice, struct tly_error *error) {
  tly_partial_writer *writer = context;
  return tly_run_writer_append(writer->writer, slice, error);
}

static void describe_files(const tly_partial_writer *writer, struct tly_run_view_result *view,
                           struct tly_run_file *files) {
  const struct tly_run_piece **pieces = tly_calloc(writer->piece_count, sizeof(struct tly_run_piece *));
  for (uint32_t i = 0; i < writer->piece_count; i++) {
    const struct tly_run_piece *piece = pieces[i] = &writer->pieces[i];
    files[i] = (struct tly_run_file){.name = piece->file,
                                     .part = piece->part,
                                     .piece = piece->piece,
                                     .groups = piece->groups,
                                     .bytes = piece->bytes,
                                     .hash = piece->file_hash};
  }
  view->view = writer->program->view->name;
  view->definition_hash = writer->program->view->hash;
  view->groups = writer->pieces[0].groups;
  view->files = files;
  view->file_count = writer->piece_count;
  view->content_hash = tly_run_content_hash(pieces, writer->piece_count);
  tly_free(pieces);
}

/* From the name it was written under to the one that says what it is. */
static enum tly_status name_folder(tly_partial_writer *writer, const struct tly_hash *manifest, char **folder,
                                   struct tly_error *error) {
  char name[33];
  tly_run_hash_print(manifest, name);
  char *named = path_of(writer->directory, name), *all = path_of(writer->directory, NULL);
  enum tly_status status = tly_file_remove_tree(named, error); /* of the same content, or damaged */
  if (status == TLY_OK && rename(writer->folder, named) != 0)
    status = TLY_FAIL_ERRNO(error, TLY_E_IO, "could not rename \"%s\" to \"%s\"", writer->folder, named);
  if (status == TLY_OK) {
    tly_free(writer->folder);
    writer->folder = NULL;
    status = tly_file_sync_folder(all, error);
  }
  tly_free(all);
  if (status == TLY_OK)
    *folder = named;
  else
    tly_free(named);
  return status;
}

enum tly_status tly_partial_finish(tly_partial_writer *writer, struct tly_run_result *result, char **folder,
                                   struct tly_error *error) {
  struct tly_hash manifest;
  TLY_ASSERT(result->view_count == 1);
  TLY_TRY(end_part(writer, error));
  TLY_ASSERT(writer->piece_count == writer->program->part_count);
  tly_crash_point("partial.before_manifest");
  struct tly_run_file *files = tly_calloc(writer->piece_count, sizeof *files);
  describe_files(writer, &result->views[0], files);
  enum tly_status status = tly_manifest_write(writer->folder, result, &manifest, error);
  result->views[0].files = NULL;
  result->views[0].file_count = 0;
  tly_free(files);
  tly_crash_point("partial.before_rename");
  if (status == TLY_OK)
    status = name_folder(writer, &manifest, folder, error);
  tly_crash_point("partial.after_rename");
  return status;
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

enum tly_status tly_partial_list(const char *directory, char ***names, size_t *count, struct tly_error *error) {
  char *folder = path_of(directory, NULL);
  enum tly_status status = TLY_OK;
  *names = NULL;
  *count = 0;
  if (tly_file_exists(folder))
    status = tly_file_list(folder, "", names, count, error);
  tly_free(folder);
  return status;
}

/* A reader of manifests: with its files, or without. */
typedef enum tly_status (*manifest_reader)(const char *folder, const struct tly_hash *hash, struct tly_arena *arena,
                                           struct tly_run_result *out, struct tly_error *error);

static enum tly_status read_by(manifest_reader read, const char *directory, const char *name, struct tly_arena *arena,
                               struct tly_run_result *out, const char **folder, struct tly_error *error) {
  struct tly_hash manifest;
  *folder = tly_arena_print(arena, "%s/partials/%s", directory, name);
  if (!tly_run_hash_parse(name, &manifest))
    return TLY_FAIL(error, TLY_E_CORRUPT, "%s is no finished partial result", *folder);
  TLY_TRY(read(*folder, &manifest, arena, out, error));
  if (out->view_count != 1 || out->range_count == 0)
    return TLY_FAIL(error, TLY_E_CORRUPT, "the manifest in %s is not one of a partial result", *folder);
  return TLY_OK;
}

enum tly_status tly_partial_read(const char *directory, const char *name, struct tly_arena *arena,
                                 struct tly_run_result *out, struct tly_error *error) {
  const char *folder;
  return read_by(tly_manifest_read_alone, directory, name, arena, out, &folder, error);
}

enum tly_status tly_partial_verify(const char *directory, const char *name, struct tly_arena *arena,
                                   struct tly_run_result *out, const char **folder, struct tly_error *error) {
  return read_by(tly_manifest_read, directory, name, arena, out, folder, error);
}

enum tly_status tly_partial_remove(const char *directory, const char *name, struct tly_error *error) {
  char *folder = path_of(directory, name);
  enum tly_status status = tly_file_remove_tree(folder, error);
  tly_free(folder);
  return status;
}
