/* For a browser that cannot read the pages: says so above what the bridge has written into this one. ES5 on purpose. */
(function () {
  window.setTimeout(function () {
    if (document.documentElement.getAttribute('data-ready')) return;
    var words = document.getElementById('too-old');
    if (words) words.removeAttribute('hidden');
  }, 5000);
})();
