/* Two lists under one mutex: what was submitted and what is done. The thread takes all that was submitted and works it
 * off without the mutex: a run of ingest jobs is divided by stream into groups of at most GROUP_EVENTS_MAX events, each
 * one transaction; a cut, a seal, a status or the question where an import stands ends the run, so that it sees
 * everything submitted before it.
 *
 * Sealing runs beside, in a thread of its own, one file at a time: it reads a file that gets no more events and writes
 * one that nobody knows yet. When it has ended, this thread switches the index.
 *
 * Why commits are spaced under load: a commit costs a sync (0.3 ms) and some pages whatever it holds. With a
 * millisecond between them a hundred thousand single events a second become groups of a hundred; without, the disk
 * would set the pace. A lone event does not wait: only when the group before was large is there anything to wait for.
 */
#include "batch_layer/commit_thread.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "batch_layer/seal.h"
#include "common/base/assert.h"
#include "common/base/doorbell.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/value/value.h"

enum {
  QUEUED_BYTES_MAX = 64 << 20, /* payloads and columns on their way */
  GROUP_EVENTS_MAX = TLY_BATCH_EVENTS_MAX,
  GROUP_JOBS_BUSY = 16,      /* so many requests in one group: more will come within a moment */
  COMMIT_INTERVAL_US = 1000, /* then commits start at least so far apart */
  TICK_MS = 1000,            /* how often an idle thread looks whether a file has come of age */
  SEAL_NICE = 5,             /* less weight, but not so little that it holds up the kernel's threads: child_process.c */
  SEAL_RETRY_US = 60000000
};

struct job_list {
  struct tly_archive_job *first, **last;
};

struct tly_commit_thread {
  pthread_t thread;
  pthread_mutex_t mutex;
  pthread_cond_t wake; /* something was submitted, sealing has ended, or stop */
  struct job_list submitted, done;
  uint64_t submitted_events;
  bool is_gathering; /* the thread waits for the group to grow: only enough events, or time, end that */
  atomic_bool stopping, broken;
  size_t queued_bytes; /* the loop's */
  int done_fd;

  /* The writing thread's. */
  tly_archive_writer *writer;
  const struct tly_project *project;
  const struct tly_settings *settings;
  int64_t last_start_us;
  uint32_t last_group_jobs;
  struct job_list seal_waits; /* seal jobs: done when no file waits to be sealed */
  bool seal_wanted;           /* one of them has come, and the files were not changed since */
  int64_t seal_retry_us;      /* no sealing is started before */

  /* Sealing. seal_ended and the outcome under the mutex. */
  pthread_t seal_thread;
  bool seal_running, seal_ended;
  atomic_bool seal_stop;
  struct tly_seal_job seal_job;
  enum tly_status seal_status;
  bool seal_has_events;
  struct tly_error seal_error;
};

static void list_init(struct job_list *list) {
  list->first = NULL;
  list->last = &list->first;
}

static void list_add(struct job_list *list, struct tly_archive_job *job) {
  job->next = NULL;
  *list->last = job;
  list->last = &job->next;
}

static struct tly_archive_job *list_take(struct job_list *list) {
  struct tly_archive_job *first = list->first;
  list_init(list);
  return first;
}

static void lock(tly_commit_thread *thread) {
  TLY_ASSERT(pthread_mutex_lock(&thread->mutex) == 0);
}

static void unlock(tly_commit_thread *thread) {
  TLY_ASSERT(pthread_mutex_unlock(&thread->mutex) == 0);
}

static void give_back_all(tly_commit_thread *thread, struct tly_archive_job *const *jobs, uint32_t count) {
  uint64_t one = 1;
  lock(thread);
  for (uint32_t i = 0; i < count; i++)
    list_add(&thread->done, jobs[i]);
  unlock(thread);
  ssize_t written = write(thread->done_fd, &one, sizeof one);
  (void)written; /* a counter that is full is readable all the same */
}

static void give_back(tly_commit_thread *thread, struct tly_archive_job *job) {
  give_back_all(thread, &job, 1);
}

static void note_broken(tly_commit_thread *thread) {
  if (tly_archive_writer_is_broken(thread->writer))
    atomic_store(&thread->broken, true);
}

/* ---- groups ------------------------------------------------------------------------------------------------------ */

/* A gap is the request's own mistake: it fails, the group goes on. */
static void fail_sequence(struct tly_archive_job *job, int64_t expected) {
  (void)TLY_FAIL(&job->error, TLY_E_SEQUENCE, "producer \"%s\" sent sequence %lld, but %lld comes next", job->producer,
                 (long long)job->sequence, (long long)expected);
}

static struct tly_import_step import_step(const struct tly_archive_job *job) {
  return (struct tly_import_step){.name = job->import_name,
                                  .content = job->import_content,
                                  .place = job->import_place,
                                  .sequence = job->sequence,
                                  .accepted = job->event_count,
                                  .rejected = job->rejected_count};
}

static enum tly_status check_import(tly_commit_thread *thread, struct tly_archive_job *job, bool *is_next,
                                    struct tly_error *error) {
  struct tly_import_step step = import_step(job);
  enum tly_import_turn turn;
  struct tly_import_memory *memory = tly_archive_writer_imports(thread->writer, job->stream);
  TLY_TRY(tly_import_memory_check(memory, &step, &turn, &job->result, &job->error, error));
  *is_next = turn == TLY_IMPORT_NEXT;
  return TLY_OK;
}

static enum tly_status check_producer(tly_commit_thread *thread, struct tly_archive_job *job, bool *is_next,
                                      struct tly_error *error) {
  enum tly_sequence verdict;
  struct tly_buffer earlier = {0};
  int64_t expected;
  enum tly_status status = tly_archive_writer_check_sequence(thread->writer, job->producer, job->sequence, &verdict,
                                                             &earlier, &expected, error);
  if (status == TLY_OK && verdict == TLY_SEQUENCE_REPEATED) {
    tly_buffer_clear(&job->result);
    tly_buffer_append(&job->result, earlier.data, earlier.size);
  } else if (status == TLY_OK && verdict == TLY_SEQUENCE_GAP) {
    fail_sequence(job, expected);
  }
  *is_next = status == TLY_OK && verdict == TLY_SEQUENCE_NEXT;
  tly_buffer_free(&earlier);
  return status;
}

static enum tly_status remember(tly_commit_thread *thread, struct tly_archive_job *job, struct tly_error *error) {
  const char *reply = tly_buffer_text(&job->result);
  struct tly_import_step step = import_step(job);
  if (job->producer != NULL)
    return tly_archive_writer_remember(thread->writer, job->producer, job->sequence, reply, error);
  if (job->import_name != NULL)
    return tly_import_memory_put(tly_archive_writer_imports(thread->writer, job->stream), &step, reply, error);
  return TLY_OK;
}

static enum tly_status add_job(tly_commit_thread *thread, struct tly_archive_job *job, struct tly_error *error) {
  struct tly_text header = {.data = (const char *)job->header.data, .size = (uint32_t)job->header.size};
  bool is_next = true;
  if (job->producer != NULL)
    TLY_TRY(check_producer(thread, job, &is_next, error));
  else if (job->import_name != NULL)
    TLY_TRY(check_import(thread, job, &is_next, error));
  if (!is_next)
    return TLY_OK;
  for (uint32_t i = 0; i < job->batch_count; i++)
    TLY_TRY(tly_archive_writer_append(thread->writer, 0, &job->batches[i], job->format, header, error));
  return remember(thread, job, error);
}

static enum tly_status commit_group(tly_commit_thread *thread, struct tly_archive_job *const *jobs, uint32_t count,
                                    struct tly_error *error) {
  TLY_TRY(tly_archive_writer_begin(thread->writer, jobs[0]->stream, error));
  for (uint32_t i = 0; i < count; i++) {
    enum tly_status status = add_job(thread, jobs[i], error);
    if (status != TLY_OK) {
      tly_archive_writer_rollback(thread->writer);
      return status;
    }
  }
  return tly_archive_writer_commit(thread->writer, error);
}

/* What a client is told when its group was taken back. */
static void fail_group(struct tly_archive_job *const *jobs, uint32_t count, const struct tly_error *error) {
  for (uint32_t i = 0; i < count; i++) {
    if (jobs[i]->error.status != TLY_OK) /* refused for its own sake */
      continue;
    jobs[i]->error = *error;
    if (error->status == TLY_E_DISK_FULL)
      tly_error_hint(&jobs[i]->error, "Nothing of this request was stored. Make room and send it again.");
  }
}

static void do_group(tly_commit_thread *thread, struct tly_archive_job *const *jobs, uint32_t count) {
  struct tly_error error = TLY_ERROR_NONE;
  enum tly_status status = commit_group(thread, jobs, count, &error);
  if (status != TLY_OK) {
    tly_log(TLY_LOG_ERROR, "events could not be stored", "requests=%u reason=\"%s\"", count, error.message);
    fail_group(jobs, count, &error);
  }
  note_broken(thread);
  give_back_all(thread, jobs, count);
  if (status == TLY_OK)
    tly_doorbell_ring(thread->settings->directory, "speed");
}

/* One group from the head of a run of ingest jobs: those of the first one's stream, up to the bound. The others stay in
 * the list, in order. */
static struct tly_archive_job *do_first_group(tly_commit_thread *thread, struct tly_archive_job *run) {
  enum { JOBS_MAX = 4096 };
  static _Thread_local struct tly_archive_job *jobs[JOBS_MAX];
  struct tly_archive_job *rest = NULL, **rest_end = &rest, *next;
  uint32_t count = 0;
  uint64_t events = 0;
  bool is_full = false;
  for (struct tly_archive_job *job = run; job != NULL; job = next) {
    next = job->next;
    job->next = NULL;
    /* Once a job of this stream had to stay, all later ones stay: a producer's requests keep their order. */
    if (job->stream == run->stream &&
        (count == JOBS_MAX || (count > 0 && events + job->event_count > GROUP_EVENTS_MAX)))
      is_full = true;
    if (job->stream == run->stream && !is_full) {
      jobs[count++] = job;
      events += job->event_count;
    } else {
      *rest_end = job;
      rest_end = &job->next;
    }
  }
  thread->last_group_jobs = count;
  do_group(thread, jobs, count);
  return rest;
}

/* ---- other jobs -------------------------------------------------------------------------------------------------- */

static void print_hash(tly_chain chain, struct tly_buffer *out) {
  for (size_t i = 0; i < sizeof chain.bytes; i++)
    tly_buffer_print(out, "%02x", chain.bytes[i]);
}

static void print_positions(const struct tly_position *positions, uint32_t count, struct tly_buffer *out) {
  tly_buffer_append_text(out, "\"positions\":[");
  for (uint32_t i = 0; i < count; i++) {
    tly_buffer_append_text(out, i == 0 ? "{\"stream\":" : ",{\"stream\":");
    tly_json_print_text(positions[i].stream, strlen(positions[i].stream), out);
    tly_buffer_print(out, ",\"partition\":%u,\"next_offset\":%lld,\"chain\":\"", positions[i].partition,
                     (long long)positions[i].next_offset);
    print_hash(positions[i].chain, out);
    tly_buffer_append_text(out, "\"}");
  }
  tly_buffer_append_text(out, "]");
}

static void do_cut(tly_commit_thread *thread, struct tly_archive_job *job) {
  struct tly_arena arena;
  struct tly_cut cut;
  tly_arena_init(&arena);
  if (tly_archive_writer_cut(thread->writer, job->views, job->view_count, &arena, &cut, &job->error) == TLY_OK) {
    tly_buffer_print(&job->result, "{\"cut\":%lld,", (long long)cut.number);
    print_positions(cut.positions, cut.position_count, &job->result);
    tly_buffer_append_text(&job->result, "}");
  }
  tly_arena_free(&arena);
  note_broken(thread);
  give_back(thread, job);
  tly_doorbell_ring(thread->settings->directory, "speed");
}

static void do_status(tly_commit_thread *thread, struct tly_archive_job *job) {
  struct tly_arena arena;
  struct tly_position *positions;
  uint32_t count;
  struct tly_buffer *out = &job->result;
  tly_arena_init(&arena);
  tly_archive_writer_positions(thread->writer, &arena, &positions, &count);
  tly_buffer_print(out, "{\"cut\":%lld,", (long long)tly_archive_writer_last_cut(thread->writer));
  print_positions(positions, count, out);
  tly_buffer_append_text(out, ",\"active\":[");
  for (uint32_t s = 0; s < thread->project->stream_count; s++) {
    struct tly_active_state active = tly_archive_writer_active(thread->writer, &thread->project->streams[s]);
    tly_buffer_append_text(out, s == 0 ? "{\"stream\":" : ",{\"stream\":");
    tly_json_print_text(thread->project->streams[s].name, strlen(thread->project->streams[s].name), out);
    tly_buffer_print(out, ",\"segment\":%lld,\"events\":%llu,\"bytes\":%lld,\"age_s\":%lld}", (long long)active.number,
                     (unsigned long long)active.events, (long long)active.size_bytes, (long long)active.age_s);
  }
  tly_buffer_print(out, "],\"sealing\":%s}", thread->seal_running ? "true" : "false");
  tly_arena_free(&arena);
  give_back(thread, job);
}

static void do_import(tly_commit_thread *thread, struct tly_archive_job *job) {
  struct tly_import_memory *memory = tly_archive_writer_imports(thread->writer, job->stream);
  if (tly_archive_writer_is_broken(thread->writer))
    (void)TLY_FAIL(&job->error, TLY_E_IO, "the archive cannot be written: where its imports stand is not known");
  else if (tly_import_memory_describe(memory, job->import_name, job->import_content, &job->result, &job->error) !=
           TLY_OK)
    tly_log(TLY_LOG_ERROR, "an import could not be read", "reason=\"%s\"", job->error.message);
  give_back(thread, job);
}

/* ---- sealing ----------------------------------------------------------------------------------------------------- */

static void *seal_main(void *argument) {
  tly_commit_thread *thread = argument;
  struct tly_error error = TLY_ERROR_NONE;
  bool has_events = false;
  setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), SEAL_NICE); /* a thread's own, on Linux */
  enum tly_status status = tly_seal_run(&thread->seal_job, &has_events, &error);
  lock(thread);
  thread->seal_status = status;
  thread->seal_has_events = has_events;
  thread->seal_error = error;
  thread->seal_ended = true;
  pthread_cond_signal(&thread->wake);
  unlock(thread);
  return NULL;
}

static bool something_waits(tly_commit_thread *thread) {
  bool spoilt;
  thread->seal_job.directory = thread->settings->directory;
  thread->seal_job.stop = &thread->seal_stop;
  return tly_archive_writer_next_to_seal(thread->writer, &thread->seal_job.stream, &thread->seal_job.number,
                                         &thread->seal_job.sealed_number, &spoilt);
}

static void start_sealing(tly_commit_thread *thread) {
  if (thread->seal_running || tly_clock_monotonic_us(&tly_clock_real) < thread->seal_retry_us ||
      !something_waits(thread))
    return;
  thread->seal_ended = false;
  thread->seal_running = pthread_create(&thread->seal_thread, NULL, seal_main, thread) == 0;
}

static void answer_seal_waits(tly_commit_thread *thread, const struct tly_error *error) {
  struct tly_archive_job *next;
  for (struct tly_archive_job *job = list_take(&thread->seal_waits); job != NULL; job = next) {
    next = job->next;
    if (error != NULL)
      job->error = *error;
    else
      tly_buffer_append_text(&job->result, "{\"sealed\":true}");
    give_back(thread, job);
  }
}

/* A sealing that failed is tried again later: the file it read stays, and is as good as it was. */
static void finish_sealing(tly_commit_thread *thread) {
  pthread_join(thread->seal_thread, NULL);
  thread->seal_running = false;
  const struct tly_seal_job *job = &thread->seal_job;
  enum tly_status status = thread->seal_status;
  if (status == TLY_OK)
    status = tly_archive_writer_sealed(thread->writer, job->stream, job->number,
                                       thread->seal_has_events ? job->sealed_number : 0, &thread->seal_error);
  note_broken(thread);
  if (status == TLY_OK) {
    tly_log(TLY_LOG_INFO, "sealed", "stream=\"%s\" file=%lld.db from=%lld.db", job->stream->name,
            (long long)job->sealed_number, (long long)job->number);
  } else {
    if (status != TLY_E_CANCELLED)
      tly_log(TLY_LOG_ERROR, "could not seal", "stream=\"%s\" file=%lld.db reason=\"%s\"", job->stream->name,
              (long long)job->number, thread->seal_error.message);
    thread->seal_retry_us = tly_clock_monotonic_us(&tly_clock_real) + SEAL_RETRY_US;
    answer_seal_waits(thread, &thread->seal_error);
  }
}

static bool has_ended(tly_commit_thread *thread) {
  lock(thread);
  bool ended = thread->seal_running && thread->seal_ended;
  unlock(thread);
  return ended;
}

static bool is_due(const tly_commit_thread *thread, const struct tly_stream *stream) {
  struct tly_active_state active = tly_archive_writer_active(thread->writer, stream);
  return active.events > 0 &&
         (active.size_bytes >= thread->settings->seal_bytes || active.age_s >= thread->settings->seal_age_s);
}

/* Give streams whose file is large or old (or, `all`, has any events) a new one. */
static void rotate(tly_commit_thread *thread, bool all) {
  struct tly_error error = TLY_ERROR_NONE;
  for (uint32_t s = 0; s < thread->project->stream_count; s++) {
    const struct tly_stream *stream = &thread->project->streams[s];
    bool wanted = all ? tly_archive_writer_active(thread->writer, stream).events > 0 : is_due(thread, stream);
    if (!wanted || tly_archive_writer_rotate(thread->writer, stream, &error) == TLY_OK)
      continue;
    thread->seal_retry_us = tly_clock_monotonic_us(&tly_clock_real) + SEAL_RETRY_US;
    tly_log(TLY_LOG_ERROR, "could not start a new file", "stream=\"%s\" reason=\"%s\"", stream->name, error.message);
    answer_seal_waits(thread, &error);
  }
  note_broken(thread);
}

static void tend_sealing(tly_commit_thread *thread) {
  if (has_ended(thread))
    finish_sealing(thread);
  if (atomic_load(&thread->broken) || atomic_load(&thread->stopping))
    return;
  bool may_try = tly_clock_monotonic_us(&tly_clock_real) >= thread->seal_retry_us;
  if (!thread->seal_running && may_try && !something_waits(thread)) {
    rotate(thread, thread->seal_wanted);
    thread->seal_wanted = false;
  }
  start_sealing(thread);
  if (!thread->seal_running && !thread->seal_wanted && thread->seal_waits.first != NULL)
    answer_seal_waits(thread, something_waits(thread) ? &thread->seal_error : NULL);
}

static void do_seal(tly_commit_thread *thread, struct tly_archive_job *job) {
  list_add(&thread->seal_waits, job);
  thread->seal_wanted = true;
  thread->seal_retry_us = 0;
}

/* ---- the thread -------------------------------------------------------------------------------------------------- */

static struct timespec in_us(int64_t microseconds) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  microseconds += time.tv_nsec / 1000;
  time.tv_sec += microseconds / 1000000;
  time.tv_nsec = microseconds % 1000000 * 1000;
  return time;
}

/* Under load, let the group grow until a commit is due. Holds the mutex. */
static void wait_for_group(tly_commit_thread *thread) {
  int64_t now = tly_clock_monotonic_us(&tly_clock_real);
  int64_t due = thread->last_start_us + COMMIT_INTERVAL_US;
  if (thread->last_group_jobs < GROUP_JOBS_BUSY || now >= due)
    return;
  struct timespec deadline = in_us(due - now);
  thread->is_gathering = true;
  while (!atomic_load(&thread->stopping) && thread->submitted_events < GROUP_EVENTS_MAX &&
         pthread_cond_timedwait(&thread->wake, &thread->mutex, &deadline) != ETIMEDOUT)
    continue;
  thread->is_gathering = false;
}

/* Wait for jobs, the end of a sealing, a tick or stop; take the jobs. */
static struct tly_archive_job *wait_for_jobs(tly_commit_thread *thread) {
  struct timespec tick = in_us(TICK_MS * INT64_C(1000));
  lock(thread);
  while (thread->submitted.first == NULL && !atomic_load(&thread->stopping) &&
         !(thread->seal_running && thread->seal_ended))
    if (pthread_cond_timedwait(&thread->wake, &thread->mutex, &tick) == ETIMEDOUT)
      break;
  if (thread->submitted.first != NULL)
    wait_for_group(thread);
  struct tly_archive_job *jobs = list_take(&thread->submitted);
  thread->submitted_events = 0;
  unlock(thread);
  return jobs;
}

/* Detach the ingest jobs at the head of the list. */
static struct tly_archive_job *take_run(struct tly_archive_job **jobs) {
  struct tly_archive_job *rest, *run, **end = jobs;
  while (*end != NULL && (*end)->kind == TLY_JOB_INGEST)
    end = &(*end)->next;
  rest = *end;
  *end = NULL;
  run = *jobs; /* NULL when the first is of another kind */
  *jobs = rest;
  return run;
}

static void do_jobs(tly_commit_thread *thread, struct tly_archive_job *jobs) {
  while (jobs != NULL) {
    struct tly_archive_job *run = take_run(&jobs);
    while (run != NULL) {
      thread->last_start_us = tly_clock_monotonic_us(&tly_clock_real);
      run = do_first_group(thread, run);
    }
    if (jobs == NULL)
      return;
    struct tly_archive_job *job = jobs;
    jobs = job->next;
    switch (job->kind) {
    case TLY_JOB_CUT: do_cut(thread, job); break;
    case TLY_JOB_SEAL: do_seal(thread, job); break;
    case TLY_JOB_STATUS: do_status(thread, job); break;
    case TLY_JOB_IMPORT: do_import(thread, job); break;
    case TLY_JOB_INGEST: TLY_UNREACHABLE();
    }
  }
}

static void *thread_main(void *argument) {
  tly_commit_thread *thread = argument;
  bool is_last = false;
  while (!is_last) {
    is_last = atomic_load(&thread->stopping); /* what was submitted before it is still taken */
    do_jobs(thread, wait_for_jobs(thread));
    tend_sealing(thread);
  }
  if (thread->seal_running) {
    atomic_store(&thread->seal_stop, true);
    finish_sealing(thread);
  }
  struct tly_error error = TLY_ERROR_NONE;
  (void)TLY_FAIL(&error, TLY_E_CANCELLED, "the archiver is stopping");
  answer_seal_waits(thread, &error);
  tly_archive_writer_close(thread->writer);
  return NULL;
}

/* ---- the loop's side --------------------------------------------------------------------------------------------- */

static enum tly_status init_locks(tly_commit_thread *thread, struct tly_error *error) {
  pthread_condattr_t attributes;
  if (pthread_mutex_init(&thread->mutex, NULL) != 0 || pthread_condattr_init(&attributes) != 0)
    return TLY_FAIL(error, TLY_E_NO_MEMORY, "could not make a mutex");
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  int code = pthread_cond_init(&thread->wake, &attributes);
  pthread_condattr_destroy(&attributes);
  return code == 0 ? TLY_OK : TLY_FAIL(error, TLY_E_NO_MEMORY, "could not make a condition variable");
}

enum tly_status tly_commit_thread_start(tly_archive_writer *writer, const struct tly_project *project,
                                        const struct tly_settings *settings, tly_commit_thread **out,
                                        struct tly_error *error) {
  tly_commit_thread *thread = tly_calloc(1, sizeof *thread);
  *out = NULL;
  thread->writer = writer;
  thread->project = project;
  thread->settings = settings;
  list_init(&thread->submitted);
  list_init(&thread->done);
  list_init(&thread->seal_waits);
  thread->done_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  enum tly_status status =
      thread->done_fd < 0 ? TLY_FAIL_ERRNO(error, TLY_E_IO, "could not make an eventfd") : init_locks(thread, error);
  if (status == TLY_OK && pthread_create(&thread->thread, NULL, thread_main, thread) != 0)
    status = TLY_FAIL(error, TLY_E_NO_MEMORY, "could not start a thread");
  if (status != TLY_OK) {
    tly_archive_writer_close(writer);
    if (thread->done_fd >= 0)
      close(thread->done_fd);
    tly_free(thread);
    return status;
  }
  *out = thread;
  return TLY_OK;
}

void tly_commit_thread_submit(tly_commit_thread *thread, struct tly_archive_job *job) {
  thread->queued_bytes += job->bytes;
  lock(thread);
  list_add(&thread->submitted, job);
  thread->submitted_events += job->event_count;
  if (!thread->is_gathering || thread->submitted_events >= GROUP_EVENTS_MAX)
    pthread_cond_signal(&thread->wake);
  unlock(thread);
}

bool tly_commit_thread_is_full(const tly_commit_thread *thread) {
  return thread->queued_bytes >= QUEUED_BYTES_MAX;
}

int tly_commit_thread_fd(const tly_commit_thread *thread) {
  return thread->done_fd;
}

struct tly_archive_job *tly_commit_thread_take_done(tly_commit_thread *thread) {
  uint64_t count;
  ssize_t got = read(thread->done_fd, &count, sizeof count);
  (void)got; /* nothing to read: nothing is done, or it was told before */
  lock(thread);
  struct tly_archive_job *done = list_take(&thread->done);
  unlock(thread);
  for (const struct tly_archive_job *job = done; job != NULL; job = job->next) {
    TLY_ASSERT(thread->queued_bytes >= job->bytes);
    thread->queued_bytes -= job->bytes;
  }
  return done;
}

bool tly_commit_thread_is_broken(tly_commit_thread *thread) {
  return atomic_load(&thread->broken);
}

void tly_commit_thread_stop(tly_commit_thread *thread) {
  lock(thread);
  atomic_store(&thread->stopping, true);
  pthread_cond_signal(&thread->wake);
  unlock(thread);
  pthread_join(thread->thread, NULL);
}

void tly_commit_thread_free(tly_commit_thread *thread) {
  TLY_ASSERT(thread->submitted.first == NULL && thread->done.first == NULL);
  pthread_cond_destroy(&thread->wake);
  pthread_mutex_destroy(&thread->mutex);
  close(thread->done_fd);
  tly_free(thread);
}
