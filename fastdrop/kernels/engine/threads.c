/* SPDX-License-Identifier: BSD-3-Clause */
#include "threads.h"

#include <stdint.h>

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
#define signal_one(signal) WakeConditionVariable(signal)
#define signal_all(signal) WakeAllConditionVariable(signal)

#else

#include <pthread.h>

typedef pthread_mutex_t lock_type;
typedef pthread_cond_t signal_type;
#define LOCK_INIT PTHREAD_MUTEX_INITIALIZER
#define SIGNAL_INIT PTHREAD_COND_INITIALIZER
#define lock_take(lock) pthread_mutex_lock(lock)
#define lock_give(lock) pthread_mutex_unlock(lock)
#define signal_wait(signal, lock) pthread_cond_wait(signal, lock)
#define signal_one(signal) pthread_cond_signal(signal)
#define signal_all(signal) pthread_cond_broadcast(signal)

#endif

/* More tasks than workers are no error: who has done one takes the next. */
enum { MOST_WORKERS = 255 };

/* One job at a time; every field is read and written under the lock. */
static struct {
    lock_type lock;
    signal_type work, done;
    size_t workers; /* threads that exist */
    int busy;       /* a job is under way */
    fd_task run;
    void *context;
    size_t tasks, next, unfinished;
} pool = {.lock = LOCK_INIT, .work = SIGNAL_INIT, .done = SIGNAL_INIT};

/* Takes tasks until none is left. Called, and returns, with the lock held. */
static void
work_off(void)
{
    while (pool.next < pool.tasks) {
        const size_t index = pool.next++;
        const fd_task run = pool.run;
        void *const context = pool.context;
        lock_give(&pool.lock);
        run(context, index);
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
        work_off();
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
worker_start(void)
{
    HANDLE thread = CreateThread(NULL, 0, worker, NULL, 0, NULL);
    if (thread == NULL) {
        return 0;
    }
    CloseHandle(thread);
    return 1;
}

void
fd_parallel_handle_fork(void)
{
}

#else

static void *
worker(void *unused)
{
    (void)unused;
    worker_loop();
    return NULL;
}

static int
worker_start(void)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, worker, NULL) != 0) {
        return 0;
    }
    pthread_detach(thread);
    return 1;
}

/* In a forked child only the forking thread is left, and the lock may have been another's. */
static void
after_fork_in_child(void)
{
    pthread_mutex_init(&pool.lock, NULL);
    pthread_cond_init(&pool.work, NULL);
    pthread_cond_init(&pool.done, NULL);
    pool.workers = 0;
    pool.busy = 0;
    pool.tasks = pool.next = pool.unfinished = 0;
}

void
fd_parallel_handle_fork(void)
{
    pthread_atfork(NULL, NULL, after_fork_in_child);
}

#endif

void
fd_parallel(size_t tasks, fd_task run, void *context)
{
    if (tasks == 1) {
        run(context, 0);
        return;
    }
    lock_take(&pool.lock);
    if (pool.busy) {
        lock_give(&pool.lock);
        for (size_t index = 0; index < tasks; index++) {
            run(context, index);
        }
        return;
    }
    pool.busy = 1;
    while (pool.workers < tasks - 1 && pool.workers < MOST_WORKERS && worker_start()) {
        pool.workers++;
    }
    pool.run = run;
    pool.context = context;
    pool.next = 0;
    pool.tasks = pool.unfinished = tasks;
    for (size_t asked = 1; asked < tasks && asked <= pool.workers; asked++) {
        signal_one(&pool.work);
    }
    work_off();
    while (pool.unfinished) {
        signal_wait(&pool.done, &pool.lock);
    }
    pool.busy = 0;
    lock_give(&pool.lock);
}
