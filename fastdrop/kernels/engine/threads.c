/* SPDX-License-Identifier: BSD-3-Clause */
#define _POSIX_C_SOURCE 200809L

#include "threads.h"

#include "float_mode.h"

#ifdef _WIN32

#define WIN32_LEAN_AND_MEAN
#include <windows.h>

typedef SRWLOCK lock_type;
typedef CONDITION_VARIABLE signal_type;
#define LOCK_INIT SRWLOCK_INIT
#define SIGNAL_INIT CONDITION_VARIABLE_INIT
#define lock_take(lock) AcquireSRWLockExclusive(lock)
#define lock_give(lock) ReleaseSRWLockExclusive(lock)
#define signal_wait(signal, lock) SleepConditionVariableSRW(signal, lock, INFINITE, 0)
#define signal_wait_shortly(signal, lock) SleepConditionVariableSRW(signal, lock, FD_ASK_EVERY, 0)
#define signal_one(signal) WakeConditionVariable(signal)
#define signal_all(signal) WakeAllConditionVariable(signal)

#else

#include <pthread.h>
#include <signal.h>
#include <time.h>

typedef pthread_mutex_t lock_type;
typedef pthread_cond_t signal_type;
#define LOCK_INIT PTHREAD_MUTEX_INITIALIZER
#define SIGNAL_INIT PTHREAD_COND_INITIALIZER
#define lock_take(lock) pthread_mutex_lock(lock)
#define lock_give(lock) pthread_mutex_unlock(lock)
#define signal_wait(signal, lock) pthread_cond_wait(signal, lock)
#define signal_one(signal) pthread_cond_signal(signal)
#define signal_all(signal) pthread_cond_broadcast(signal)

/* Waits, but not for much longer than FD_ASK_EVERY. */
static void
signal_wait_shortly(signal_type *signal, lock_type *lock)
{
    struct timespec end;
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_nsec += FD_ASK_EVERY * 1000000L;
    end.tv_sec += end.tv_nsec / 1000000000L;
    end.tv_nsec %= 1000000000L;
    pthread_cond_timedwait(signal, lock, &end);
}

#endif

/* More tasks than workers are no error: who has done one takes the next. */
enum { MOST_THREADS = 255 };

/* One job at a time; every field is read and written under the lock. */
static struct {
    lock_type lock;
    signal_type work, done;
    size_t threads; /* that exist */
    int busy;       /* a job is under way */
    fd_task run;
    void *context;
    fd_float_mode mode; /* the caller's */
    size_t tasks, next, unfinished;
    size_t workers, joined; /* of the job: the most, and those that have come, the caller first */
} pool = {.lock = LOCK_INIT, .work = SIGNAL_INIT, .done = SIGNAL_INIT};

/* On a worker: the mode is the caller's, and then the thread's own again. */
static void
run_as_guest(fd_task run, void *context, size_t index, size_t worker, fd_float_mode mode)
{
    const fd_float_mode own = fd_float_mode_read();
    fd_float_mode_write(mode);
    run(context, index, worker);
    fd_float_mode_write(own);
}

/* Takes tasks until none is left. Called, and returns, with the lock held. */
static void
work_off(size_t worker)
{
    while (pool.next < pool.tasks) {
        const size_t index = pool.next++;
        const fd_task run = pool.run;
        void *const context = pool.context;
        const fd_float_mode mode = pool.mode;
        lock_give(&pool.lock);
        if (worker == 0) {
            run(context, index, 0);
        } else {
            run_as_guest(run, context, index, worker, mode);
        }
        lock_take(&pool.lock);
        if (--pool.unfinished == 0) {
            signal_all(&pool.done);
        }
    }
}

static void
worker_loop(void)
{
    lock_take(&pool.lock);
    for (;;) {
        if (pool.joined < pool.workers) {
            work_off(pool.joined++);
        }
        signal_wait(&pool.work, &pool.lock);
    }
}

#ifdef _WIN32

static DWORD WINAPI
worker(LPVOID unused)
{
    (void)unused;
    worker_loop();
    return 0;
}

static int
thread_start(void)
{
    HANDLE thread = CreateThread(NULL, 0, worker, NULL, 0, NULL);
    if (thread == NULL) {
        return 0;
    }
    CloseHandle(thread);
    return 1;
}

void
fd_pool_handle_fork(void)
{
}

size_t
fd_fork_count(void)
{
    return 0;
}

#else

static void *
worker(void *unused)
{
    (void)unused;
    worker_loop();
    return NULL;
}

/* The signals that a worker does not take: all but those that say what it did itself. A thread
 * starts with the signals blocked that its maker has blocked. */
static void
signals_of_others(sigset_t *signals)
{
    const int own[] = {SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGTRAP};
    sigfillset(signals);
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        sigdelset(signals, own[i]);
    }
}

static int
thread_start(void)
{
    pthread_t thread;
    sigset_t others, before;
    signals_of_others(&others);
    pthread_sigmask(SIG_BLOCK, &others, &before);
    const int failed = pthread_create(&thread, NULL, worker, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed) {
        return 0;
    }
    pthread_detach(thread);
    return 1;
}

static size_t forks; /* shared */

/* In a forked child only the forking thread is left, and the lock may have been another's. */
static void
after_fork_in_child(void)
{
    pthread_mutex_init(&pool.lock, NULL);
    pthread_cond_init(&pool.work, NULL);
    pthread_cond_init(&pool.done, NULL);
    pool.threads = 0;
    pool.busy = 0;
    pool.tasks = pool.next = pool.unfinished = 0;
    pool.workers = pool.joined = 0;
    fd_shared_write(&forks, forks + 1);
}

void
fd_pool_handle_fork(void)
{
    pthread_atfork(NULL, NULL, after_fork_in_child);
}

size_t
fd_fork_count(void)
{
    return fd_shared_read(&forks);
}

#endif

/* Until the workers are done. Called, and returns, with the lock held. */
static void
wait_for_workers(fd_interrupt *interrupt)
{
    while (pool.unfinished) {
        if (interrupt == NULL) {
            signal_wait(&pool.done, &pool.lock);
            continue;
        }
        signal_wait_shortly(&pool.done, &pool.lock);
        lock_give(&pool.lock);
        fd_interrupt_ask(interrupt);
        lock_take(&pool.lock);
    }
}

void
fd_pool_run(size_t tasks, size_t workers, fd_task run, void *context, fd_interrupt *interrupt)
{
    lock_take(&pool.lock);
    if (pool.busy) {
        lock_give(&pool.lock);
        for (size_t index = 0; index < tasks; index++) {
            run(context, index, 0);
        }
        return;
    }
    pool.busy = 1;
    while (pool.threads < workers - 1 && pool.threads < MOST_THREADS && thread_start()) {
        pool.threads++;
    }
    pool.run = run;
    pool.context = context;
    pool.mode = fd_float_mode_read();
    pool.next = 0;
    pool.tasks = pool.unfinished = tasks;
    pool.workers = workers;
    pool.joined = 1;
    for (size_t asked = 1; asked < workers && asked <= pool.threads; asked++) {
        signal_one(&pool.work);
    }
    work_off(0);
    wait_for_workers(interrupt);
    pool.busy = 0;
    lock_give(&pool.lock);
}
